"""The figures of a run: printed row by row, and kept in README.md between two marks."""

import datetime
import platform
from pathlib import Path

PAGE = Path(__file__).resolve().parent / "README.md"


class Table:
    """Rows of figures that are printed as they come."""

    def __init__(self, name, columns):
        self.name, self.columns, self.rows = name, columns, []
        print(self._line(columns), flush=True)

    def _line(self, cells):
        first, *others = map(str, cells)
        return f"{first:<20}" + "".join(f" {cell:>10}" for cell in others)

    def add(self, row):
        """Print a row: a mapping with a value for each column."""
        self.rows.append(row)
        print(self._line(row[column] for column in self.columns), flush=True)

    def record(self):
        """Replace the rows of the page that were made again, and its line of when and where."""
        begin, end = marks(self.name)
        text = PAGE.read_text(encoding="utf-8")
        before, _, rest = text.partition(begin)
        old, _, after = rest.partition(end)
        rows = {cells[0]: cells for cells in cells_of(old)}
        stamp = f"{datetime.date.today().isoformat()}, Python {platform.python_version()}"
        for row in self.rows:
            rows[row[self.columns[0]]] = [str(row[column]) for column in self.columns] + [stamp]
        lines = [[*self.columns, "run"], ["---"] * (len(self.columns) + 1)]
        lines += [rows[name] for name in sorted(rows)]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
        PAGE.write_text(f"{before}{begin}\n{table}\n{end}{after}", encoding="utf-8")


def marks(name):
    """What stands before and after the table in the page."""
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def rows_of(name):
    """The rows of a table in the page, as lists of cells."""
    begin, end = marks(name)
    return cells_of(PAGE.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0])


def cells_of(table):
    """The cells of the rows below the heading."""
    lines = [line.strip("| ").split(" | ") for line in table.strip().splitlines()]
    return lines[2:]
