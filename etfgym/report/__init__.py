"""From a result folder to figures and one HTML page."""
