"""The Prometheus text of `/metrics`."""

import re

SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """One scrape."""

    def __init__(self, text):
        self.samples = []
        for line in text.splitlines():
            if line and not line.startswith("#"):
                found = SAMPLE.match(line)
                assert found, f"not a sample: {line!r}"
                name, labels, value = found.groups()
                self.samples.append((name, dict(LABEL.findall(labels or "")), float(value)))

    def names(self):
        return {name for name, _, _ in self.samples}

    def total(self, name, **labels):
        """The sum of the samples of that name that have these labels."""
        wanted = labels.items()
        return sum(
            value for sample, had, value in self.samples if sample == name and wanted <= had.items()
        )

    def by(self, name, label):
        """The sums of the samples of that name by the value of a label, without zeros."""
        sums = {}
        for sample, labels, value in self.samples:
            if sample == name and value:
                sums[labels[label]] = sums.get(labels[label], 0) + value
        return sums
