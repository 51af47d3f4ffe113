"""A Hugging Face Hub on this machine, in memory: what the real client asks of one, and the ways in which one fails."""

import base64
import hashlib
import json
import re
import socket
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

REPO = r"(?P<repo>[\w.-]+/[\w.-]+)"
LARGE = (".safetensors", ".png")  # what the Hub keeps outside git

START_UPS: list[tuple] = []  # what each state of the Hub led to: test, seconds, deadline, place of the weights


class Server(ThreadingHTTPServer):
    """A server to which it is nothing new that a client goes away."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Hub:
    """The state: every repository is a list of commits, each a folder of files.

    Attributes:
        fault: how it fails, None for a healthy one: an HTTP status, "slow", "silent", "truncated" or "corrupt"; or how
            each repository does.
        log: method and path of every request.
    """

    def __init__(self):
        self.repos: dict[str, list[dict[str, bytes]]] = {}
        self.large: dict[str, bytes] = {}
        self.log: list[str] = []
        self.fault: int | str | dict[str, int | str] | None = None
        handler = type("BoundHandler", (Handler,), {"hub": self})
        self.server = Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def put(self, repo: str, files: dict[str, bytes]) -> str:
        """A commit with these files beside those that are there; gives its hash."""
        commits = self.repos.setdefault(repo, [{}])
        commits.append({**commits[-1], **files})
        return self.head(repo)

    def files(self, repo: str) -> dict[str, bytes]:
        return self.repos[repo][-1]

    def head(self, repo: str) -> str:
        return commit_hash(repo, len(self.repos[repo]) - 1)

    def commits(self, repo: str) -> dict[str, dict[str, bytes]]:
        return {commit_hash(repo, number): files for number, files in enumerate(self.repos[repo])}


def commit_hash(repo: str, number: int) -> str:
    return hashlib.sha1(f"{repo} {number}".encode()).hexdigest()


def facts(name: str, content: bytes) -> dict:
    """What the Hub tells of a file: the hash of large ones is that of the content, of small ones git's."""
    if name.endswith(LARGE):
        digest = hashlib.sha256(content).hexdigest()
        return {
            "size": len(content),
            "oid": digest,
            "lfs": {"oid": digest, "sha256": digest, "size": len(content), "pointerSize": 130},
        }
    return {"size": len(content), "oid": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()}


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Nothing on the console."""

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.log.append(f"{self.command} {path}")
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.fault()
        if fault == "silent":
            time.sleep(120)
            return
        if isinstance(fault, int):
            self.reply({"error": "injected"}, fault)
            return
        for pattern, method in ROUTES:
            if match := re.fullmatch(pattern, path):
                method(self, **match.groupdict())
                return
        self.reply({"error": f"not implemented: {path}"}, 404)

    def reply(self, content: object, status: int = 200, **headers: str) -> None:
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(status, int) and status >= 400:
            codes = {404: "RepoNotFound", 401: "RepoNotFound", 403: "GatedRepo"}
            headers.setdefault("X-Error-Code", codes.get(status, "Injected"))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with suppress(ConnectionError):
                self.write(content)

    def fault(self) -> int | str | None:
        """How this request fails."""
        fault = self.hub.fault
        return next((fault[repo] for repo in fault if repo in self.path), None) if isinstance(fault, dict) else fault

    def write(self, content: bytes) -> None:
        fault = self.fault() if len(content) > 1000 else None
        if fault == "truncated":
            self.wfile.write(content[: len(content) // 2])
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault == "slow":
            for start in range(0, len(content), 100):
                self.wfile.write(content[start : start + 100])
                time.sleep(0.1)
        elif fault == "corrupt":
            self.wfile.write(content[:-200] + bytes(byte ^ 1 for byte in content[-200:]))
        else:
            self.wfile.write(content)

    # The routes ----------------------------------------------------------------------------------------------------

    def create(self) -> None:
        wanted = json.loads(self.body)
        repo = f"{wanted.get('organization') or 'tester'}/{wanted['name']}"
        kind = "" if wanted.get("type", "model") == "model" else wanted["type"] + "s/"
        known = repo in self.hub.repos
        self.hub.repos.setdefault(repo, [{".gitattributes": b""}])
        self.reply({"url": f"{self.hub.url}/{kind}{repo}"}, 409 if known else 200)

    def validate(self) -> None:
        self.reply({"errors": [], "warnings": []})

    def preupload(self, repo: str) -> None:
        there = self.hub.files(repo)
        answer = []
        for file in json.loads(self.body)["files"]:
            name = file["path"]
            known = {"oid": facts(name, there[name])["oid"]} if name in there else {}
            mode = "lfs" if name.endswith(LARGE) else "regular"
            answer.append({"path": name, "uploadMode": mode, "shouldIgnore": False, **known})
        self.reply({"files": answer})

    def batch(self, repo: str) -> None:
        objects = [
            {
                **{key: thing[key] for key in ("oid", "size")},
                "actions": {"upload": {"href": f"{self.hub.url}/_large/{thing['oid']}", "header": {}}},
            }
            for thing in json.loads(self.body)["objects"]
        ]
        self.reply({"transfer": "basic", "objects": objects})

    def upload(self, oid: str) -> None:
        self.hub.large[oid] = self.body
        self.reply(b"")

    def commit(self, repo: str) -> None:
        files = dict(self.hub.files(repo))
        for line in self.body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif operation["key"] == "deletedFile":
                del files[value["path"]]
        self.hub.repos[repo].append(files)
        head = self.hub.head(repo)
        self.reply({"success": True, "commitOid": head, "commitUrl": f"{self.hub.url}/{repo}/commit/{head}"})

    def info(self, repo: str, revision: str | None = None) -> None:
        if repo not in self.hub.repos:
            self.reply({"error": "no such repository"}, 404)
            return
        head = self.hub.head(repo) if revision in (None, "main") else revision
        files = self.hub.commits(repo)[head]
        known = {name: facts(name, content) for name, content in files.items()}
        siblings = [{"rfilename": name, "blobId": fact["oid"], **fact} for name, fact in known.items()]
        self.reply({"id": repo, "sha": head, "private": False, "siblings": siblings, "tags": []})

    def tree(self, repo: str) -> None:
        entries = [
            {"type": "file", "path": name, **facts(name, content)} for name, content in self.hub.files(repo).items()
        ]
        self.reply(entries)

    def resolve(self, repo: str, revision: str, name: str) -> None:
        if repo not in self.hub.repos:
            self.reply({"error": "no such repository"}, 404)
            return
        hashes = self.hub.commits(repo)
        head = self.hub.head(repo) if revision == "main" else revision
        if head not in hashes or name not in hashes[head]:
            code = "EntryNotFound" if head in hashes else "RevisionNotFound"
            self.reply({"error": "no such file"}, 404, X_Error_Code=code, X_Repo_Commit=head)
            return
        content = hashes[head][name]
        known = facts(name, content)
        headers = {"X_Repo_Commit": head, "ETag": f'"{known["oid"]}"', "Accept_Ranges": "bytes"}
        if "lfs" in known:
            headers |= {"X_Linked_Etag": f'"{known["oid"]}"', "X_Linked_Size": str(known["size"])}
        part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if part:
            first, last = int(part[1]), min(int(part[2] or len(content) - 1), len(content) - 1)
            headers["Content_Range"] = f"bytes {first}-{last}/{len(content)}"
            self.reply(content[first : last + 1], 206, **headers)
        else:
            self.reply(content, **headers)


for verb in ("GET", "HEAD", "POST", "PUT", "DELETE"):
    setattr(Handler, f"do_{verb}", Handler.answer)

ROUTES = [
    (r"/api/repos/create", Handler.create),
    (r"/api/validate-yaml", Handler.validate),
    (rf"/api/(?:model|space|dataset)s/{REPO}/preupload/main", Handler.preupload),
    (rf"/(?:(?:space|dataset)s/)?{REPO}\.git/info/lfs/objects/batch", Handler.batch),
    (r"/_large/(?P<oid>[0-9a-f]{64})", Handler.upload),
    (rf"/api/(?:model|space|dataset)s/{REPO}/commit/main", Handler.commit),
    (rf"/api/(?:model|space|dataset)s/{REPO}/tree/[^/]+", Handler.tree),
    (rf"/api/(?:model|space|dataset)s/{REPO}(?:/revision/(?P<revision>[^/]+))?", Handler.info),
    (rf"/(?:(?:space|dataset)s/)?{REPO}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", Handler.resolve),
]
