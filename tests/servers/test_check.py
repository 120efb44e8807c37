"""The doctor against each layer that is set up wrongly on purpose, and then as its fix says.

All of them run beside each other, as they mostly wait. What a case has to name, and the lines that
mend it, are in ``misconfigured.py`` and in the doctor's own table of fixes.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

import pytest
from misconfigured import CASES, backend, running
from proxies import PROXIES, program

from sse_middleware.doctor import ask, examine, exit_code, findings_of, report_lines
from sse_middleware.doctor.fixes import FIXES

TIMEOUT_S = 5
DEADLINE_S = 120
NEEDS = {"gunicorn": "gunicorn", "uwsgi": "uwsgi", "flask-compress": "flask-compress"}
NEEDS["django"] = "django"


def why_absent(layer):
    """What is missing for a layer, or ""."""
    if layer in PROXIES:
        return "" if program(layer) else f"{layer} is not installed"
    try:
        metadata.version(NEEDS[layer])
    except metadata.PackageNotFoundError:
        return f"{NEEDS[layer]} is not installed"
    return ""


def seen(case, lines, port, folder):
    """What the doctor sees of ``case`` with ``lines`` in it."""
    folder.mkdir(parents=True)
    with running(case, lines, port, folder) as listening:
        return examine(ask(f"http://127.0.0.1:{listening}{case.path}"), TIMEOUT_S)


@pytest.fixture(scope="module")
def examined(tmp_path_factory):
    """Of each case, the evidence as it is wrong and as it is mended; futures."""
    folder = tmp_path_factory.mktemp("check")
    os.chmod(folder, 0o755)
    with backend() as port, ThreadPoolExecutor(4) as pool:
        yield {
            (name, wrong): pool.submit(
                seen, case, case.wrong if wrong else case.right, port, folder / f"{name}-{wrong}"
            )
            for name, case in CASES.items()
            if not why_absent(case.layer)
            for wrong in (True, False)
        }


@pytest.fixture(params=CASES)
def name(request):
    absent = why_absent(CASES[request.param].layer)
    if absent and os.environ.get("CI") == "true":
        pytest.fail(absent)
    if absent:
        pytest.skip(absent)
    return request.param


def test_the_cause_and_the_layer_are_named(examined, name):
    evidence = examined[name, True].result(DEADLINE_S)
    case, findings = CASES[name], findings_of(evidence)
    told = "\n".join(report_lines(evidence))
    assert case.code in [finding.name for finding in findings], told
    finding = next(finding for finding in findings if finding.name == case.code)
    assert list(finding.fixes) == [case.layer], told
    assert finding.evidence
    assert exit_code(findings) == (finding.code.severity != "note"), told


def test_the_fix_leaves_nothing_to_say(examined, name):
    evidence = examined[name, False].result(DEADLINE_S)
    findings = findings_of(evidence)
    assert CASES[name].code not in [finding.name for finding in findings]
    assert exit_code(findings) == 0, "\n".join(report_lines(evidence))


def test_every_fix_has_a_case():
    tried = {FIXES[case.code][case.layer] for case in CASES.values()}
    assert {fix for fixes in FIXES.values() for fix in fixes.values()} == tried
