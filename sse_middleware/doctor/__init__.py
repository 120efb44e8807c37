"""The doctor behind ``sse-middleware check``: asks a deployment for a stream, as a browser does.

``asking`` says what is asked, ``probe`` hears what comes back and when; ``stream``, ``decoding``,
``layers``, ``arrival`` and ``again`` (what a reconnection gets) make ``evidence`` of it, in the
order that ``examine`` has; ``findings`` judges that by the tables in ``codes`` and ``fixes``;
``report`` and ``report_json`` tell it, ``masking`` without the secrets that were sent.
"""

from sse_middleware.doctor.asking import ask
from sse_middleware.doctor.evidence import Evidence
from sse_middleware.doctor.examine import examine
from sse_middleware.doctor.findings import Finding, findings_of
from sse_middleware.doctor.report import report_lines
from sse_middleware.doctor.report_json import exit_code, report_object

__all__ = [
    "Evidence",
    "Finding",
    "ask",
    "examine",
    "exit_code",
    "findings_of",
    "report_lines",
    "report_object",
]
