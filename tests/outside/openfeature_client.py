"""The OpenFeature Python SDK with its OFREP provider, unmodified: flags of a running server, typed, split and killed."""
import pathlib, statistics, time

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from flag_vectors import draw, variant
from house import house

TENANT = "default"
FEATURES = """tenant_id: default
features:
  plain: {enabled: true}
  share: {enabled: true, rollout_percent: 12.345}
  answer_style:
    enabled: true
    variants: {brief: short words, thorough: every detail}
    default_variant: brief
    split: {brief: 1, thorough: 3}
    targets: [{attribute: plan, values: [free], variant: brief}]
  passages: {enabled: true, variants: {few: 4, many: 16}, default_variant: few}
  factor: {enabled: true, variants: {low: 1.5, high: 2.0}, default_variant: high}
  limits: {enabled: true, variants: {small: {passages: 4}}, default_variant: small}
"""
KILLED = FEATURES.replace("plain: {enabled: true}", "plain: {enabled: true, kill_switch: true}")
KILLS = 10


def main():
    with house() as served:
        file = served.folder / "tenants" / TENANT / "features.yaml"
        key = served.key(TENANT, "viewer")
        provider = OFREPProvider(served.url, headers_factory=lambda: {"authorization": f"Bearer {key}"})
        api.set_provider(provider)
        client = api.get_client()
        file.write_text(FEATURES)
        until("the flags are in force", lambda: client.get_object_details("limits", {}).error_code is None)

        assert client.get_boolean_value("plain", False) is True
        assert client.get_integer_value("passages", 0) == 4
        assert client.get_float_value("factor", 0.0) == 2.0
        assert client.get_object_value("limits", {}) == {"passages": 4}

        # who is in, by this program's own reckoning
        for number in range(300):
            user = f"user-{number}"
            context = EvaluationContext(user)
            share = client.get_boolean_details("share", False, context)
            assert share.value is (draw("rollout", "share", "", user, 100_000) < 12_345), user
            style = client.get_string_details("answer_style", "", context)
            assert style.variant == variant("answer_style", "", user, {"brief": 1, "thorough": 3}), user
            assert share.reason == style.reason == Reason.SPLIT, (share, style)
        free = client.get_string_details("answer_style", "", EvaluationContext("user-1", {"plan": "free"}))
        assert (free.value, free.reason) == ("short words", Reason.TARGETING_MATCH), free

        # what goes wrong gives the program's own default and a code, never a guess
        for details, code in [
            (client.get_boolean_details("share", True), ErrorCode.TARGETING_KEY_MISSING),
            (client.get_boolean_details("no-such-flag", True), ErrorCode.FLAG_NOT_FOUND),
            (client.get_boolean_details("answer_style", True, EvaluationContext("x")), ErrorCode.TYPE_MISMATCH),
        ]:
            assert (details.value, details.reason, details.error_code) == (True, Reason.ERROR, code), details

        took = [kill(client, file) for _ in range(KILLS)]
        assert client.get_boolean_details("plain", True).reason == Reason.DISABLED
    print(f"OpenFeature's Python SDK against the gateway: 11 passed, 0 failed; a kill switch was in force {statistics.median(took) * 1e3:.0f} ms "
          f"after the file was written (median of {KILLS}, the slowest {max(took) * 1e3:.0f} ms)")


def kill(client, file: pathlib.Path) -> float:
    """Seconds from the written file to the first answer that obeys it."""
    file.write_text(FEATURES)
    until("the flag is on", lambda: client.get_boolean_value("plain", False))
    began = time.monotonic()
    file.write_text(KILLED)
    until("the flag is off", lambda: not client.get_boolean_value("plain", True))
    return time.monotonic() - began


def until(what: str, holds):
    """The edited files are watched; each try is a request, not a pause."""
    for _ in range(20_000):
        if holds():
            return
    raise AssertionError(f"waited in vain: {what}")


if __name__ == "__main__":
    main()
