"""Headless Chromium walks the console: log in, see the live house, ask, open a source, read the lineage, see the costs."""
import os, shutil, tempfile

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from house import golden, house

WAIT_SECONDS = 30


def browser(profile):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
                     "--disable-component-update", "--disable-sync", "--window-size=1280,900", f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def main():
    with house() as served, tempfile.TemporaryDirectory() as profile:
        served.ingest_corpus("default")
        page = browser(profile)
        wait = WebDriverWait(page, WAIT_SECONDS, ignored_exceptions=[StaleElementReferenceException])
        one = lambda selector: wait.until(lambda _: next(iter(page.find_elements(By.CSS_SELECTOR, selector)), None))
        shots = os.environ.get("CONSOLE_SHOTS")
        shot = lambda name: shots and page.save_screenshot(f"{shots}/{name}.png")
        try:
            page.get(f"{served.url}/console")
            shot("login")
            one("#key").send_keys("bwk_wrong_wrong")
            one("#login-form button").click()
            wait.until(lambda _: one("#login-error").text)
            one("#key").clear()
            one("#key").send_keys(served.operator_key)
            one("#login-form button").click()

            wait.until(lambda _: len(page.find_elements(By.CSS_SELECTOR, "#actor-tree .tenant-box")) >= 3)
            assert "retrieval" in one("#actor-tree").text, one("#actor-tree").text
            shot("house")

            page.get(f"{served.url}/console#/tenants")
            wait.until(lambda _: "acme-corp" in one("main").text and "beta-inc" in one("main").text)
            shot("tenants")

            page.get(f"{served.url}/console#/policies")
            wait.until(lambda _: "acme-corp" in one("#conflict-map").text and "in force" in one("#conflict-map").text)
            page.get(f"{served.url}/console#/policies/acme-corp")
            wait.until(lambda _: "health-data-stays-in-the-states" in one("#rules").text)
            assert "No conflict." in one("#conflicts").text, one("#conflicts").text
            assert "samples@bailiwick.example" in one("#commits").text, one("#commits").text
            assert "Everybody has the newest release." in one("#rollout").text, one("#rollout").text
            assert "None waits." in one("#approvals").text, one("#approvals").text
            one("#releases button").click()
            wait.until(lambda _: "golden questions find" in one("#rehearsal").text)
            shot("policy")

            Select(one("#tenant")).select_by_value("default")
            page.get(f"{served.url}/console#/ask")
            question = next(line["question"] for line in golden("default") if not line.get("unanswerable"))
            one("#question").send_keys(question)
            one("main form.card button").click()
            wait.until(lambda _: page.find_elements(By.CSS_SELECTOR, "#citations .citation"))
            assert one("#answer").text, "the answer has no words"
            shot("answer")

            one("#answer .marker").click()
            marked = wait.until(lambda _: one("#source mark").text)
            assert marked, "the cited words are not marked in the source"
            shot("source")
            page.find_element(By.CSS_SELECTOR, "#source form button").click()

            one("#show-lineage").click()
            wait.until(lambda _: "chain hash" in one("#lineage").text)
            shot("lineage")

            page.get(f"{served.url}/console#/compliance")
            wait.until(lambda _: "acme-corp" in one("#compliance-fleet").text)
            one("#compliance-fleet a").click()
            wait.until(lambda _: "Encryption at rest" in one("#controls").text)
            shot("compliance")

            page.get(f"{served.url}/console#/costs")
            wait.until(lambda _: len(page.find_elements(By.CSS_SELECTOR, "svg.plot[role=img][aria-label]")) == 2)
            row = next(row for row in page.find_elements(By.CSS_SELECTOR, "#costs-rows tbody tr") if row.text.startswith("default"))
            assert row.text.split()[:3] == ["default", "0", "1"], f"one turn of the free model: {row.text}"
            assert "No forecast yet" in one("#costs-month").text, one("#costs-month").text
            shot("costs")
            one("#costs-rows a").click()
            Select(wait.until(lambda _: page.current_url.endswith("/costs/default") and one("#costs-by"))).select_by_value("provider")
            wait.until(lambda _: "extractive" in one("#costs-rows").text)

            page.find_element(By.CSS_SELECTOR, "#leave").click()
            one("#key").send_keys(served.key("default"))
            one("#login-form button").click()
            wait.until(lambda _: one("#role").text == "tenant key")
            page.get(f"{served.url}/console#/costs")
            wait.until(lambda _: len(page.find_elements(By.CSS_SELECTOR, "svg.plot")) == 2)
            assert "tenant" not in [option.get_attribute("value") for option in Select(one("#costs-by")).options]
            shot("costs-of-tenant")

            # the wrong key, and the question whether a key is the operator's
            expected = lambda message: "401" in message or ("403" in message and "/admin/v1/tenants " in message)
            refused = [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE" and not expected(entry["message"])]
            assert not refused, refused
        finally:
            page.quit()
    print("headless Chromium walked the console: 9 passed, 0 failed")


if __name__ == "__main__":
    main()
