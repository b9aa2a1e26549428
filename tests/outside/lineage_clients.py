"""Lineage as others read it: every OpenLineage event built by OpenLineage's own client, every PROV-JSON document read by the
library of the W3C's submitters, written out and read again."""
import json, urllib.request

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.serde import Serde
from prov.model import ProvActivity, ProvDerivation, ProvDocument, ProvEntity

from house import golden, house

TENANT = "acme-corp"


def lines(served, key, form):
    request = urllib.request.Request(f"{served.url}/v1/lineage/export?format={form}")
    request.add_header("authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=60) as response:
        return [json.loads(line) for line in response.read().splitlines()]


def event_of(event):
    """The event as OpenLineage's client has it: its classes check ids, times and addresses."""
    dataset = lambda kind: lambda found: kind(namespace=found["namespace"], name=found["name"])
    return RunEvent(
        eventType=RunState(event["eventType"]),
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=Run(runId=event["run"]["runId"]),
        job=Job(namespace=event["job"]["namespace"], name=event["job"]["name"]),
        inputs=[dataset(InputDataset)(found) for found in event["inputs"]],
        outputs=[dataset(OutputDataset)(found) for found in event["outputs"]],
    )


def main():
    with house() as served:
        key = served.key(TENANT)
        served.ingest_corpus(TENANT)
        questions = [line["question"] for line in golden(TENANT) if not line.get("unanswerable")][:5]
        answers = [served.call("POST", "/v1/ask", {"question": question}, key=key) for question in questions]
        cited = sum(len({citation["chunk_id"] for citation in answer["citations"]}) for answer in answers)
        assert cited, "something is cited"

        events = lines(served, key, "openlineage")
        runs = {}
        for event in events:
            built = json.loads(Serde.to_json(event_of(event)))
            for field in ("eventType", "eventTime", "producer", "schemaURL"):
                assert built[field] == event[field], (field, built[field], event[field])
            assert all(facet.keys() >= {"_producer", "_schemaURL"} for facet in event["run"]["facets"].values())
            runs.setdefault(event["run"]["runId"], []).append(event["eventType"])
        assert set(runs) == {answer["query_id"] for answer in answers}
        assert all(states[0] == "START" and states.count("COMPLETE") == 1 for states in runs.values()), runs
        assert sum(len(event["inputs"]) for event in events) == cited

        derived = 0
        for line in lines(served, key, "prov"):
            document = ProvDocument.deserialize(content=json.dumps(line), format="json")
            assert len(list(document.get_records(ProvActivity))) == 1
            assert list(document.get_records(ProvEntity)), line
            derived += len(list(document.get_records(ProvDerivation)))
            again = ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
            assert again == document, "what is written is what was read"
        assert derived == cited, (derived, cited)
        print(f"lineage: {len(events)} OpenLineage events of {len(runs)} answers, {derived} derivations in PROV: all read")


if __name__ == "__main__":
    main()
