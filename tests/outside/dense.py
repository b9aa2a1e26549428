"""A tenant whose passages are found by their meaning too, with a model behind OpenAI's embeddings route."""
import re, time

MODEL = "all-MiniLM-L6-v2"


def config(url: str) -> str:
    return f"""
[[providers]]
name = "minilm"
kind = "openai"
base_url = "{url}"
region = "eu-west-1"
timeout_ms = 60000

[providers.prices."{MODEL}"]
input_usd_per_1m_tokens = "0"
output_usd_per_1m_tokens = "0"
"""


def want(served, tenant: str, number: int, **settings) -> None:
    """Writes the settings into the tenant's files as its operator would, and returns when they are in force."""
    folder = served.folder / "tenants" / tenant / "policies"
    retrieval, governance = folder / "retrieval.yaml", folder / "governance.yaml"
    version = lambda text: re.sub(r"(?m)^policy_semver:.*$", f"policy_semver: 9.0.{number}", text)
    block = "".join(f"    {key}: {str(value).lower() if isinstance(value, bool) else value}\n" for key, value in settings.items())
    text = re.sub(r"(?m)^  dense:\n(    .*\n)*", "", retrieval.read_text())
    retrieval.write_text(version(text.replace("\nsettings:\n", f"\nsettings:\n  dense:\n    model: {MODEL}\n{block}")))
    governance.write_text(version(re.sub(r"(?m)^  allowed_models:.*$", f"  allowed_models: [{MODEL}]", governance.read_text())))
    served.sign_policies(tenant)
    for _ in range(600):
        if served.call("GET", f"/admin/v1/tenants/{tenant}/policies")["policy_version"] == f"9.0.{number}":
            return
        time.sleep(0.1)
    raise SystemExit("the settings never came into force: " + (served.folder / "log").read_text()[-2000:])


def standing(served, tenant: str):
    return served.call("GET", f"/admin/v1/tenants/{tenant}/quota")["corpus"].get("dense")


def wait(served, key, tenant: str, passages: int, minutes: int = 60) -> None:
    """Returns when every passage has its vector and searches use it."""
    for _ in range(minutes * 120):
        now = standing(served, tenant)
        if now and now["in_force"] and now["pending"] == 0 and now["indexed"] >= passages:
            return
        served.call("POST", "/v1/search", {"query": "anything"}, key=key)  # a tenant nobody asks sleeps
        time.sleep(0.5)
    raise SystemExit(f"passages never were embedded: {now}")
