"""From a result folder to figures and one HTML page that opens offline: `etfgym.report.html.write_report(folder)`.

`results` reads and checks the folder, `tables` compares every agent with buy-and-hold and puts the outcome into one
plain sentence, `figures` draws, `html` binds it together. Figures and page need: pip install "etfgym[report]"
"""
