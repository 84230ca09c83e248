"""The diagnosis of a run on its screen: one quiet line, and where the charts show what it says."""

from collections.abc import Sequence

from torchtty.engine.contract.diagnosis.finding import Finding
from torchtty.engine.contract.settings.family import MetricChart
from torchtty.tui.charts.spec import Band


def advised(findings: Sequence[Finding]) -> Finding | None:
    """Return the most serious finding that something can be tried against."""
    return next((finding for finding in findings if finding.change is not None), None)


def quiet_line(findings: Sequence[Finding]) -> str:
    """Write what is wrong and which key tries a change: `⚠ overfits since step 2,000 · a: try dropout 0.2`."""
    if not findings:
        return ""
    finding = advised(findings[:1]) or findings[0]
    others = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    return " · ".join(filter(None, (f"⚠ {finding.what}{others}", proposal(findings))))


def proposal(findings: Sequence[Finding]) -> str:
    """Write which key tries which change; empty where there is none."""
    finding = advised(findings)
    return f"a: try {finding.change.text}" if finding is not None and finding.change is not None else ""


def bands(findings: Sequence[Finding], chart: MetricChart) -> list[Band]:
    """Return where a chart shows what is wrong: each finding that has a beginning, on the chart that draws its metric."""
    shown = [one for one in findings if one.evidence.metric in chart.metrics and one.evidence.first > 1]
    return [Band(one.evidence.first, one.evidence.last, one.name) for one in shown]
