"""The compliance report as others open it: poppler reads its words, qpdf finds nothing wrong, and asking twice for the report of
a week gives the same bytes."""
import hashlib, json, pathlib, subprocess, tempfile, time, urllib.request

from house import house

TENANTS = ("acme-corp", "beta-inc", "default")
PATIENCE_S = 60


def fetch(served, path):
    request = urllib.request.Request(served.url + path)
    request.add_header("authorization", f"Bearer {served.operator_key}")
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.read()


def week_of(served, tenant):
    """The week's report, which the node makes by itself soon after it has started."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        weeks = json.loads(fetch(served, f"/admin/v1/tenants/{tenant}/reports"))["weeks"]
        if weeks:
            return weeks[-1]
        time.sleep(0.2)
    raise SystemExit(f"{tenant} has no weekly report after {PATIENCE_S} s")


def main():
    pages = 0
    with house() as served, tempfile.TemporaryDirectory() as folder:
        for tenant in TENANTS:
            week = week_of(served, tenant)
            path = f"/admin/v1/tenants/{tenant}/reports/compliance?week={week['week']}"
            report, drawn = fetch(served, path), fetch(served, path + "&format=pdf")
            assert hashlib.sha256(report).hexdigest() == week["sha256"], "the control journal commits to the report"
            assert drawn == fetch(served, path + "&format=pdf"), "the same report is the same file"
            report = json.loads(report)
            file = pathlib.Path(folder) / f"{tenant}.pdf"
            file.write_bytes(drawn)
            subprocess.run(["qpdf", "--check", file], check=True, stdout=subprocess.DEVNULL)
            pages += int(subprocess.run(["qpdf", "--show-npages", file], check=True, capture_output=True, text=True).stdout)
            words = subprocess.run(["pdftotext", "-layout", file, "-"], check=True, capture_output=True, text=True).stdout
            joined = "".join(words.split())
            assert "Compliance report" in words and tenant in words and report["week"] in words
            tenths = report["score_ppm"] // 1000
            assert f"{tenths // 10}.{tenths % 10} %" in words, "the score"
            for control in report["controls"]:
                assert "".join(control["title"].split()) in joined, control["title"]
            for clause in (clause for control in report["controls"] for clause in control["supports"]):
                assert "".join(clause["clause"].split()) in joined, clause
            for line in report["checkpoint"]["note"].splitlines():
                assert "".join(line.split()) in joined, f"the checkpoint's line {line!r}"
            fonts = subprocess.run(["pdffonts", file], check=True, capture_output=True, text=True).stdout.splitlines()[2:]
            assert fonts and all("yes yes" in line for line in fonts), "every typeface is inside, in part"
    print(f"compliance: {len(TENANTS)} reports of {pages} pages read by poppler and qpdf, each twice the same bytes")


if __name__ == "__main__":
    main()
