#!/usr/bin/env python3
"""Qdrant's own engine (Qdrant Edge) behind the requests of its REST interface, read by the models of its own Python client: a field that
client does not know is refused.

  tests/outside/install && target/outside/bin/python tests/outside/vector_server.py PORT FOLDER KEY
"""
import http.server, json, pathlib, re, shutil, sys, threading

import pydantic
import qdrant_edge as edge
from qdrant_client.http import models

INSERT, SELECT = pydantic.TypeAdapter(models.PointInsertOperations), pydantic.TypeAdapter(models.PointsSelector)


class Missing(Exception):
    pass


class Collections:
    """Shards by name, in a folder; all that the paths of the interface come to."""

    def __init__(self, folder: pathlib.Path):
        self.folder, self.lock = folder, threading.Lock()
        self.shards = {path.name: edge.EdgeShard.load(str(path)) for path in folder.iterdir()}

    def shard(self, name: str):
        if name not in self.shards:
            raise Missing
        return self.shards[name]

    def make(self, name: str, body):
        asked = models.CreateCollection.model_validate_json(body)
        if name in self.shards:
            raise FileExistsError
        distance = getattr(edge.Distance, asked.vectors.distance.value)
        config = edge.EdgeConfig(vectors=edge.EdgeVectorParams(size=asked.vectors.size, distance=distance))
        self.shards[name] = edge.EdgeShard.create(str(self.folder / name), config)
        return True

    def delete(self, name: str, _body):
        shard = self.shards.pop(name, None)
        if shard is None:
            return False
        shard.close()
        shutil.rmtree(self.folder / name)
        return True

    def exists(self, name: str, _body):
        return {"exists": name in self.shards}

    def count(self, name: str, body):
        asked = models.CountRequest.model_validate_json(body)
        return {"count": self.shard(name).count(edge.CountRequest(exact=asked.exact, filter=filter_of(asked.filter)))}

    def updated(self, name: str, operation):
        shard = self.shard(name)
        shard.update(operation)
        shard.flush()
        return {"operation_id": 0, "status": "completed"}

    def put(self, name: str, body):
        asked = INSERT.validate_json(body)
        return self.updated(name, edge.UpdateOperation.upsert_points([edge.Point(point.id, point.vector, point.payload) for point in asked.points]))

    def take_out(self, name: str, body):
        return self.updated(name, edge.UpdateOperation.delete_points(SELECT.validate_json(body).points))

    def scroll(self, name: str, body):
        asked = models.ScrollRequest.model_validate_json(body)
        points, following = self.shard(name).scroll(edge.ScrollRequest(limit=asked.limit, offset=asked.offset, with_payload=True, with_vector=True))
        return {"points": [{"id": point.id, "payload": point.payload, "vector": point.vector} for point in points], "next_page_offset": following}

    def query(self, name: str, body):
        shard, found = self.shard(name), []
        for asked in models.QueryRequestBatch.model_validate_json(body).searches:
            # a bare vector and one that says what it is for
            vector = asked.query.nearest if isinstance(asked.query, models.NearestQuery) else asked.query
            request = edge.QueryRequest(limit=asked.limit, query=edge.Query.Nearest(vector), filter=filter_of(asked.filter))
            hits = shard.query(request)
            found.append({"points": [{"id": hit.id, "version": hit.version, "score": hit.score} for hit in hits]})
        return found


def filter_of(asked):
    """A filter by numbers, which is the only one there is here."""
    if asked is None:
        return None
    condition = lambda ones: [edge.HasIdCondition(set(one.has_id)) for one in ones] if ones else None
    assert asked.should is None and asked.min_should is None
    return edge.Filter(must=condition(asked.must), must_not=condition(asked.must_not))


WAYS = [
    ("PUT", "", Collections.make), ("DELETE", "", Collections.delete), ("GET", "/exists", Collections.exists),
    ("PUT", "/points", Collections.put), ("POST", "/points/delete", Collections.take_out), ("POST", "/points/count", Collections.count),
    ("POST", "/points/scroll", Collections.scroll), ("POST", "/points/query/batch", Collections.query),
]


def serve(port: int, folder: pathlib.Path, key: str):
    collections = Collections(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, status: int, result, told="ok"):
            body = json.dumps({"result": result, "status": told, "time": 0.0}).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def handle_one(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            if self.headers.get("api-key") != key:
                return self.answer(401, None, {"error": "this key opens nothing"})
            path = re.fullmatch(r"/collections/([^/]+)(/[^?]*)?(\?.*)?", self.path)
            ways = [work for method, way, work in WAYS if path and method == self.command and way == (path[2] or "")]
            if not ways:
                return self.answer(404, None, {"error": "there is no such way"})
            try:
                with collections.lock:
                    result = ways[0](collections, path[1], body)
            except Missing:
                return self.answer(404, None, {"error": f"collection {path[1]} is not there"})
            except FileExistsError:
                return self.answer(409, None, {"error": f"collection {path[1]} is there"})
            except pydantic.ValidationError as refused:
                return self.answer(400, None, {"error": str(refused)})
            self.answer(200, result)

        do_GET = do_PUT = do_POST = do_DELETE = handle_one

        def log_message(self, *_):
            pass

    return http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)


def main():
    port, folder, key = sys.argv[1:]
    serve(int(port), pathlib.Path(folder), key).serve_forever()


if __name__ == "__main__":
    main()
