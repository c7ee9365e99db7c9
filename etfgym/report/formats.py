"""Tables, headings and sentences as text for a terminal, as Markdown, and as LaTeX (which needs booktabs)."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from etfgym.report.layout import Table

LATEX = {character: f"\\{character}" for character in "&%$#_{}"}
LATEX |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": "$<$", ">": "$>$"}


@dataclass(frozen=True, slots=True)
class Format:
    """How each part of a text is written."""

    heading: Callable[[str], str]
    paragraph: Callable[[str], str]
    table: Callable[[Table], str]


def _texts(table: Table) -> list[list[str]]:
    """Return head, rows and what sums up."""
    return [list(table.columns), *([entry.text for entry in row] for row in (*table.rows, *table.foot))]


# ------------------------------------------------------------------------------------------------ text


def _wrapped(text: str) -> str:
    return textwrap.fill(text, min(100, shutil.get_terminal_size().columns))


def text_table(table: Table) -> str:
    """Return the table for a terminal; columns that it has no room for follow below, the first one repeated.

    Example:
        >>> from etfgym.report.layout import Entry
        >>> print(text_table(Table("Two agents", ["Agent", "Return"], [[Entry("dqn"), Entry("+1.0 %")]])))
        Two agents
        <BLANKLINE>
        Agent  Return
        -------------
        dqn    +1.0 %
    """
    columns = list(zip(*_texts(table), strict=True))
    widths = [max(map(len, column)) for column in columns]
    parts: list[str] = [_wrapped(table.caption)]
    for shown in _fitting(widths, shutil.get_terminal_size().columns):
        form = "  ".join(f"{{:{'>' if column else '<'}{widths[column]}}}" for column in shown)
        lines = [form.format(*row).rstrip() for row in zip(*(columns[column] for column in shown), strict=True)]
        parts.append("\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]]))
    return "\n\n".join(parts)


def _fitting(widths: Sequence[int], room: int) -> list[list[int]]:
    """Return the columns to show beside each other, the first in every group; at least one other, however wide."""
    groups: list[list[int]] = [[0]]
    for column in range(1, len(widths)):
        taken = sum(widths[other] + 2 for other in groups[-1])
        if len(groups[-1]) > 1 and taken + widths[column] > room:
            groups.append([0])
        groups[-1].append(column)
    return groups


# ------------------------------------------------------------------------------------------------ Markdown and LaTeX


def markdown_table(table: Table) -> str:
    r"""Return the table as GitHub and others read it.

    Example:
        >>> from etfgym.report.layout import Entry
        >>> print(markdown_table(Table("Two agents", ["Agent", "Return"], [[Entry("a|b"), Entry("+1.0 %")]])))
        Two agents
        <BLANKLINE>
        | Agent | Return |
        | :--- | ---: |
        | a\|b | +1.0 % |
    """
    head, *rows = [f"| {' | '.join(map(_markdown, row))} |" for row in _texts(table)]
    line = f"| :--- |{' ---: |' * (len(table.columns) - 1)}"
    return "\n".join([_markdown(table.caption), "", head, line, *rows])


def _markdown(text: str) -> str:
    return re.sub(r"([|*_<>`\[\]\\])", r"\\\1", text)


def latex_table(table: Table) -> str:
    r"""Return the table as LaTeX, with rules of booktabs.

    Example:
        >>> from etfgym.report.layout import Entry
        >>> print(latex_table(Table("Two agents", ["Agent", "Return"], [[Entry("ma_cross"), Entry("+1.0 %")]])))
        \begin{table}
        \caption{Two agents}
        \footnotesize
        \begin{tabular}{lr}
        \toprule
        Agent & Return \\
        \midrule
        ma\_cross & +1.0 \% \\
        \bottomrule
        \end{tabular}
        \end{table}
    """
    head, *rows = [" & ".join(map(_latex, row)) + r" \\" for row in _texts(table)]
    body, foot = rows[: len(table.rows)], rows[len(table.rows) :]
    lines = [r"\begin{table}", rf"\caption{{{_latex(table.caption)}}}", r"\footnotesize"]
    lines += [rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}", r"\toprule", head, r"\midrule", *body]
    lines += [r"\midrule", *foot] if foot else []
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def _latex(text: str) -> str:
    return "".join(LATEX.get(character, character) for character in text)


FORMATS = {
    "text": Format(lambda text: f"{text}\n{'=' * len(text)}", _wrapped, text_table),
    "markdown": Format(lambda text: f"## {_markdown(text)}", _markdown, markdown_table),
    "latex": Format(lambda text: rf"\section*{{{_latex(text)}}}", _latex, latex_table),
}
