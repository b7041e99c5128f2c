#!/usr/bin/python3
"""usage: count_tests.py CTEST_JUNIT_XML [GTEST_RESULTS_FOLDER]

Prints "passed failed skipped" of a ctest run. Where a test left a GoogleTest report (GTEST_OUTPUT=xml:FOLDER/), its
cases are counted, so that a case which skips itself is seen; otherwise the ctest test counts as one.
"""
import pathlib
import sys
import xml.etree.ElementTree as xml


def gtest_counts(path):
    """(passed, failed, skipped) of one GoogleTest report; None where there is none or it was cut short by a crash."""
    try:
        cases = list(xml.parse(path).getroot().iter("testcase"))
    except (OSError, xml.ParseError):
        return None
    failed = sum(1 for case in cases if case.find("failure") is not None)
    skipped = sum(1 for case in cases if case.find("failure") is None
                  and (case.get("result") != "completed" or case.find("skipped") is not None))
    return len(cases) - failed - skipped, failed, skipped


def ctest_status(case):
    """'passed', 'failed' or 'skipped'. A test that could not be started is failed, whatever ctest calls it."""
    if case.get("status") == "run":
        return "passed"
    skipped = case.find("skipped")
    if case.get("status") == "disabled" or (skipped is not None and "SKIP" in skipped.get("message", "")):
        return "skipped"
    return "failed"


def count(junit, reports):
    passed = failed = skipped = 0
    for case in xml.parse(junit).getroot().iter("testcase"):
        status = ctest_status(case)
        report = None
        if reports is not None:
            report = gtest_counts(reports / ("test_" + case.get("name").replace(".", "_") + ".xml"))
        if report is None:
            report = tuple(int(status == name) for name in ("passed", "failed", "skipped"))
        elif status == "failed" and report[1] == 0:  # for example a leak found after the last case
            report = (report[0], 1, report[2])
        passed, failed, skipped = passed + report[0], failed + report[1], skipped + report[2]
    return passed, failed, skipped


def main(arguments):
    if len(arguments) not in (1, 2) or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 2
    try:
        counts = count(arguments[0], pathlib.Path(arguments[1]) if len(arguments) == 2 else None)
    except (OSError, xml.ParseError) as error:
        print(f"count_tests.py: no ctest report: {error}", file=sys.stderr)
        counts = (0, 1, 0)
    print(*counts)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
