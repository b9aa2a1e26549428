"""Traces and metrics in the eyes of their own projects: spans decoded by OpenTelemetry's Python classes and held against the names of
its semantic conventions, the exposition and the alert rules against promtool, every expression of the dashboard parsed by it, and the
burn rates against simulated days."""
import http.server, json, pathlib, re, subprocess, tempfile, threading, time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes as gen_ai
from opentelemetry.semconv.attributes import error_attributes, http_attributes

from house import binary, house

TENANT, NEIGHBOUR = "default", "acme-corp"
QUESTION = "How many days of paid leave does an employee have?"
LEAVE = {"id": "leave", "title": "Leave", "text": "Every employee has thirty days of paid leave in a year."}
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = f"00-{TRACE}-b7ad6b7169203331-01"


class Collector(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Taking)
        self.spans, self.bytes = [], b""
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Taking(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        assert self.path == "/v1/traces" and self.headers["content-type"] == "application/x-protobuf", (self.path, self.headers)
        request = ExportTraceServiceRequest.FromString(body)
        self.server.bytes += body
        for resource in request.resource_spans:
            names = {attribute.key: attribute.value.string_value for attribute in resource.resource.attributes}
            assert names["service.name"] == "bailiwick", names
            for scope in resource.scope_spans:
                self.server.spans += scope.spans
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


def value(any_value):
    kind = any_value.WhichOneof("value")
    inner = getattr(any_value, kind)
    return [value(one) for one in inner.values] if kind == "array_value" else inner


def attributes(span):
    return {attribute.key: value(attribute.value) for attribute in span.attributes}


def until(what, probe):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := probe():
            return found
        time.sleep(0.02)
    raise SystemExit(f"waited in vain: {what}")


def one_tree(spans, above):
    by_id = {span.span_id: span for span in spans}
    roots = [span for span in spans if span.parent_span_id not in by_id]
    assert len(by_id) == len(spans) and len(roots) == 1 and roots[0].parent_span_id.hex() == above, [span.name for span in roots]
    for span in spans:
        parent = by_id.get(span.parent_span_id)
        assert parent is None or parent.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano <= parent.end_time_unix_nano, span.name
    return roots[0]


def traces(at, collector):
    for tenant, trace in ((TENANT, TRACE), (NEIGHBOUR, TRACE.replace("0af7", "1af7"))):
        key = at.key(tenant)
        at.call("POST", "/v1/documents", {"documents": [LEAVE]}, key=key)
        until("the document is indexed", lambda: at.call("GET", "/v1/documents/leave", key=key)["state"] == "indexed")
        at.call("POST", "/v1/ask", {"question": QUESTION}, key=key, headers={"traceparent": CALLER.replace(TRACE, trace)})
    of = lambda trace: [span for span in collector.spans if span.trace_id.hex() == trace]
    whole = lambda trace: {"POST /v1/ask", "exit"} <= {span.name for span in of(trace)} and of(trace)
    spans = until("the spans of an ask", lambda: whole(TRACE))
    other = until("the neighbour's", lambda: whole(TRACE.replace("0af7", "1af7")))
    root = one_tree(spans, "b7ad6b7169203331")
    assert attributes(root)[http_attributes.HTTP_ROUTE] == "/v1/ask", attributes(root)
    assert attributes(root)[http_attributes.HTTP_RESPONSE_STATUS_CODE] == 200
    assert attributes(root)[http_attributes.HTTP_REQUEST_METHOD] == "POST"
    (call,) = [span for span in spans if gen_ai.GEN_AI_REQUEST_MODEL in attributes(span)]
    said = attributes(call)
    assert said[gen_ai.GEN_AI_OPERATION_NAME] == gen_ai.GenAiOperationNameValues.CHAT.value and gen_ai.GEN_AI_PROVIDER_NAME in said, said
    assert said[gen_ai.GEN_AI_USAGE_OUTPUT_TOKENS] > 0 and error_attributes.ERROR_TYPE not in said, said
    tenants = [{attributes(span)["tenant.id"] for span in some} for some in (spans, other)]
    assert all(len(tenant) == 1 for tenant in tenants) and tenants[0] != tenants[1], "each tree is one tenant's"
    for words in (b"paid leave", b"thirty days", TENANT.encode(), NEIGHBOUR.encode()):
        assert words not in collector.bytes, words
    print(f"traces: {len(spans)} spans of one ask, one tree, names of the semantic conventions, nothing anybody wrote")


def promtool(*arguments, given=None):
    ran = subprocess.run(["promtool", *arguments], input=given, text=True, capture_output=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def written(what):
    return subprocess.run([binary(), "observability", what], check=True, capture_output=True, text=True).stdout


def exposition(at):
    import urllib.request

    request = urllib.request.Request(at.url + "/metrics", headers={"authorization": f"Bearer {at.operator_key}"})
    with urllib.request.urlopen(request, timeout=60) as response:
        text = response.read().decode()
    said = promtool("check", "metrics", given=text)
    # what was named before there was this check stays as it is named
    complaints = [line for line in said.splitlines() if line and "abbreviated units" not in line]
    assert not complaints, complaints
    print(f"metrics: promtool reads {sum(line.startswith('# TYPE') for line in text.splitlines())} families and has no complaint")


def rules():
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "alerts.yml").write_text(written("alerts"))
        promtool("check", "rules", str(folder / "alerts.yml"))
        dashboard = json.loads(written("dashboard"))
        expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
        parsed = [re.sub(r"\$__rate_interval", "5m", expression).replace("$tenant", ".*") for expression in expressions]
        recorded = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(parsed)]
        (folder / "panels.yml").write_text(json.dumps({"groups": [{"name": "panels", "rules": recorded}]}))
        promtool("check", "rules", str(folder / "panels.yml"))
        (folder / "days.yml").write_text(json.dumps(days()))
        promtool("test", "rules", str(folder / "days.yml"))
    print(f"rules: promtool takes the alerts and {len(expressions)} expressions of the dashboard; the burn rates fire when they should")


def days():
    """A tenant that fails 2 % of its turns at an objective of 99.9 %, one within its objective, one whose few turns fail, and one with a lax
    objective, where 14.4 times the allowed share is more than can fail."""

    def tenant(name, a_minute, bad_a_minute, allowed):
        series = lambda metric, growth: {"series": f'{metric}{{tenant="{name}"}}', "values": f"0+{growth}x400"}
        return [
            series("bailiwick_slo_events_total", a_minute),
            series("bailiwick_slo_bad_events_total", bad_a_minute),
            {"series": f'bailiwick_slo_allowed_ratio{{tenant="{name}"}}', "values": f"{allowed}x400"},
        ]

    fast = {"severity": "page", "tenant": "fails"}
    lax = {"severity": "page", "tenant": "lax"}
    alert = lambda labels: {
        "exp_labels": labels,
        "exp_annotations": {
            "summary": f"tenant {labels['tenant']} burns its error budget 14.4 times too fast (1h and 5m)",
            "description": "look at the tenant's refusals by code and at its provider; `bailiwick slo show` says what is left",
        },
    }
    return {
        "rule_files": ["alerts.yml"],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": tenant("fails", 1000, 20, 0.001)
                + tenant("holds", 1000, 1, 0.001)
                + tenant("few", 0.01, 0.01, 0.001)
                + tenant("lax", 1000, 700, 0.2),
                "alert_rule_test": [
                    {"eval_time": "70m", "alertname": "BailiwickErrorBudgetBurn14x", "exp_alerts": [alert(fast), alert(lax)]},
                ],
            }
        ],
    }


if __name__ == "__main__":
    collector = Collector()
    otel = f'[otel]\nendpoint = "http://127.0.0.1:{collector.server_address[1]}"\nregion = "local"\nevery_ms = 20\n'
    with house(otel) as at:
        traces(at, collector)
        exposition(at)
    rules()
