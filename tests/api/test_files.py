"""Sprites and originals over HTTP, from every kind of store, to whoever may have them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vodsprite.testing.calls import HttpAnswer, request, send_raw
from vodsprite.testing.clock import FakeClock
from vodsprite.testing.service import Service, start_service

SHEET = bytes(range(256)) * 3000  # several blocks long
VTT = b"WEBVTT\n\n00:00:00.000 --> 00:00:10.000\nimageSprite_10_0.jpg#xywh=0,0,142,80\n"
FOLDER = "sprites/1000000000000000001/CreateImageSprite-1"


@pytest.fixture(params=["folder", "memory"])
def filled(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    """A service whose store, in a folder or in memory, holds a sprite set."""
    store_url = "memory:///" if request.param == "memory" else None
    with start_service(tmp_path, store_url=store_url) as service:
        service.parts.store.put(f"{FOLDER}/imageSprite_10_0.jpg", SHEET)
        service.parts.store.put(f"{FOLDER}/imageSprite_10_1.png", b"png")
        service.parts.store.put(f"{FOLDER}/imageSprite_10_2.webp", b"webp")
        service.parts.store.put(f"{FOLDER}/imageSprite_10.vtt", VTT)
        service.parts.store.put(f"{FOLDER}/empty.vtt", b"")
        service.parts.store.put("originals/1/1.mp4", b"secret")
        yield service


def get(service: Service, path: str, *, method: str = "GET", **headers: str) -> HttpAnswer:
    """Ask for a path; header names with underscores for dashes."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return request(service.port, method, path, headers=named)


class TestSprites:
    """Everybody may have them."""

    @pytest.mark.parametrize(
        ("name", "media_type", "content"),
        [
            ("imageSprite_10_0.jpg", "image/jpeg", SHEET),
            ("imageSprite_10_1.png", "image/png", b"png"),
            ("imageSprite_10_2.webp", "image/webp", b"webp"),
            ("imageSprite_10.vtt", "text/vtt; charset=utf-8", VTT),
            ("empty.vtt", "text/vtt; charset=utf-8", b""),
        ],
    )
    def test_a_file_comes_with_what_players_need(
        self, filled: Service, name: str, media_type: str, content: bytes
    ) -> None:
        """The right media type, any origin, a strong validator, ranges."""
        answer = get(filled, f"/{FOLDER}/{name}")

        assert (answer.status, answer.body) == (200, content)
        assert answer.headers["content-type"] == media_type
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["x-content-type-options"] == "nosniff"
        etag = answer.headers["etag"]
        assert etag[0] == etag[-1] == '"'
        assert len(etag) > 2

    def test_head_is_get_without_the_body(self, filled: Service) -> None:
        """Same status and headers, no bytes."""
        path = f"/{FOLDER}/imageSprite_10_0.jpg"
        whole, head = get(filled, path), get(filled, path, method="HEAD")

        assert (head.status, head.body) == (200, b"")
        varying = {"date"}
        assert {k: v for k, v in head.headers.items() if k not in varying} == {
            k: v for k, v in whole.headers.items() if k not in varying
        }

    @pytest.mark.parametrize(
        ("wanted", "start", "end"),
        [
            ("bytes=0-0", 0, 1),
            ("bytes=1-9", 1, 10),
            ("bytes=262144-", 262_144, len(SHEET)),
            ("bytes=-5", len(SHEET) - 5, len(SHEET)),
            ("bytes=-9999999", 0, len(SHEET)),
            ("bytes=5-9999999", 5, len(SHEET)),
        ],
    )
    def test_a_range_is_served_alone(self, filled: Service, wanted: str, start: int, end: int) -> None:
        """206 with exactly the bytes that were asked for."""
        answer = get(filled, f"/{FOLDER}/imageSprite_10_0.jpg", Range=wanted)

        assert (answer.status, answer.body) == (206, SHEET[start:end])
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(SHEET)}"
        assert answer.headers["content-length"] == str(end - start)

    @pytest.mark.parametrize("wanted", [f"bytes={len(SHEET)}-", "bytes=-0", "bytes=9-5"])
    def test_a_range_outside_the_file_is_refused(self, filled: Service, wanted: str) -> None:
        """416 tells how long the file is."""
        answer = get(filled, f"/{FOLDER}/imageSprite_10_0.jpg", Range=wanted)

        assert answer.status == 416
        assert answer.headers["content-range"] == f"bytes */{len(SHEET)}"

    @pytest.mark.parametrize(
        "wanted", ["bytes=-", "lines=1-2", "bytes=a-b", "bytes=0-1,4-5", "bytes=" + "9" * 50]
    )
    def test_a_range_that_is_none_of_ours_is_ignored(self, filled: Service, wanted: str) -> None:
        """A server may send the whole in place of what it does not understand."""
        answer = get(filled, f"/{FOLDER}/imageSprite_10_0.jpg", Range=wanted)

        assert (answer.status, len(answer.body)) == (200, len(SHEET))

    def test_a_copy_that_is_still_good_is_not_sent_again(self, filled: Service) -> None:
        """By its tag, whatever the others in the list, or by its time."""
        path = f"/{FOLDER}/imageSprite_10_0.jpg"
        first = get(filled, path)
        etag, at = first.headers["etag"], first.headers["last-modified"]

        for condition in (
            {"If_None_Match": f'"x", W/{etag}'},
            {"If_None_Match": "*"},
            {"If_Modified_Since": at},
        ):
            again = get(filled, path, **condition)
            assert (again.status, again.body) == (304, b"")
            assert again.headers["etag"] == etag
        for condition in (
            {"If_None_Match": '"x"', "If_Modified_Since": at},
            {"If_Modified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
            {"If_Modified_Since": "yesterday"},
        ):
            assert get(filled, path, **condition).status == 200

    def test_a_range_of_another_version_is_the_whole(self, filled: Service) -> None:
        """A download that goes on must not be glued to other bytes."""
        path = f"/{FOLDER}/imageSprite_10_0.jpg"
        etag = get(filled, path).headers["etag"]

        assert get(filled, path, Range="bytes=1-2", If_Range=etag).status == 206
        assert get(filled, path, Range="bytes=1-2", If_Range='"other"').status == 200

    def test_pages_of_any_origin_may_ask_first(self, filled: Service) -> None:
        """A preflight for a ranged request is granted."""
        answer = get(
            filled,
            f"/{FOLDER}/imageSprite_10.vtt",
            method="OPTIONS",
            Origin="https://player.example.com",
            Access_Control_Request_Method="GET",
            Access_Control_Request_Headers="range",
        )

        assert answer.status == 204
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "GET" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"] == "*"

    @pytest.mark.parametrize(
        "path",
        [
            f"/{FOLDER}/imageSprite_11_0.jpg",
            f"/{FOLDER}",
            f"/{FOLDER}/",
            "/sprites/",
            "/sprites//etc/passwd.jpg",
            "/sprites/../originals/1/1.mp4",
            "/sprites/%2e%2e/originals/1/1.mp4",
            "/sprites/..%2foriginals/1/1.jpg",
            "/sprites/a%00.jpg",
            "/sprites/..\\..\\x.jpg",
            "/sprites/%ff%fe.jpg",
            "/sprites/" + "a" * 2000 + ".jpg",
            "/sprites/" + "a" * 300 + ".jpg",
            "/sprites/" + "a/" * 400 + "x.jpg",
            f"/{FOLDER}/imageSprite_10_0.jpg/x.jpg",
            "/originals/1/1.mp4",
            "/vodsprite.sqlite",
            "/objects/x",
            "/health/",
            "/v2/index.php/",
        ],
    )
    def test_everything_else_is_not_found(self, filled: Service, path: str) -> None:
        """Neither what is missing nor what lies elsewhere can be reached."""
        answer = get(filled, path)

        assert answer.status == 404
        assert b"secret" not in answer.body

    def test_a_folder_with_a_files_name_is_not_found(self, tmp_path: Path) -> None:
        """Only files are objects."""
        with start_service(tmp_path) as service:
            service.parts.store.put("sprites/1/folder.jpg/x.jpg", b"x")

            assert get(service, "/sprites/1/folder.jpg").status == 404

    def test_a_link_that_leads_out_is_no_object(self, tmp_path: Path) -> None:
        """Even if somebody put a path with dots into the URL line itself, unencoded."""
        (tmp_path / "outside.jpg").write_bytes(b"secret")
        with start_service(tmp_path) as service:
            answer = send_raw(service.port, b"GET /sprites/../../outside.jpg HTTP/1.1\r\nHost: x\r\n\r\n")

            assert answer.status == 404

    def test_nobody_writes(self, filled: Service) -> None:
        """Reading is all that there is."""
        for method in ("POST", "PUT", "DELETE"):
            assert get(filled, f"/{FOLDER}/imageSprite_10_0.jpg", method=method).status == 405
        assert get(filled, f"/{FOLDER}/imageSprite_10_0.jpg").status == 200


class TestOriginals:
    """Only who holds a link that stands may have them."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        """A clock that can pass the expiry of links."""
        return FakeClock()

    @pytest.fixture
    def path(self, tmp_path: Path, clock: FakeClock) -> Iterator[tuple[Service, str]]:
        """A service and the path of a link, good for an hour, to an original with an unusual name."""
        with start_service(tmp_path, clock=clock) as service:
            media = service.add_media(tmp_path, name='hafen "größe".mp4')
            yield service, service.parts.links.original_url("", media, now=clock.now())

    def test_a_link_downloads_the_file(self, path: tuple[Service, str]) -> None:
        """As an attachment under its own name, of a type that no browser interprets."""
        answer = get(*path)

        assert (answer.status, answer.body) == (200, b"not looked at")
        assert answer.headers["content-disposition"] == (
            "attachment; filename*=UTF-8''hafen%20%22gr%C3%B6%C3%9Fe%22.mp4"
        )
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"] == "application/octet-stream"
        assert "access-control-allow-origin" not in answer.headers
        assert get(*path, Range="bytes=0-2").body == b"not"
        assert get(*path, method="HEAD").status == 200

    def test_a_link_expires(self, path: tuple[Service, str], clock: FakeClock) -> None:
        """After its time it opens nothing."""
        clock.advance(seconds=3599)
        assert get(*path).status == 200
        clock.advance(seconds=2)

        answer = get(*path)

        assert answer.status == 403
        assert b"not looked at" not in answer.body

    def test_a_link_opens_one_file(self, path: tuple[Service, str], tmp_path: Path) -> None:
        """Neither another media nor another expiry can be put into it."""
        service, link = path
        other = service.add_media(tmp_path)
        _, _, signature, file_id, name = link.split("/")
        expiry, _, mac = signature.partition(".")

        for forged in (
            f"/originals/{signature}/{other.file_id}/{name}",
            f"/originals/{int(expiry, 16) + 9999:x}.{mac}/{file_id}/{name}",
            f"/originals/{expiry}.{mac[:-2]}AA/{file_id}/{name}",
            f"/originals/{expiry}./{file_id}/{name}",
            f"/originals/./{file_id}/{name}",
            f"/originals/%ff.%fe/{file_id}/{name}",
            f"/originals/x/{file_id}/{name}",
        ):
            assert get(service, forged).status in (403, 404), forged

    def test_the_object_may_be_gone(self, path: tuple[Service, str]) -> None:
        """A link to a file whose object was lost is not found, not a fault."""
        service, link = path
        service.parts.store.delete(list(service.parts.store.list("originals")))

        assert get(service, link).status == 404


class TestHealth:
    """What a supervisor asks."""

    def test_a_running_service_lives_and_is_ready(self, service: Service) -> None:
        """Both answer 200."""
        assert get(service, "/health/live").json() == {"status": "ok"}
        assert get(service, "/health/ready").status == 200

    def test_without_its_tables_it_lives_and_is_not_ready(self, tmp_path: Path) -> None:
        """503 keeps traffic away; the process need not be killed; nothing of the cause is told."""
        with start_service(tmp_path) as service:
            with service.parts.database.transaction() as conn:
                conn.exec_driver_sql("ALTER TABLE apps RENAME TO lost")
            ready = get(service, "/health/ready")

            assert get(service, "/health/live").status == 200
            assert ready.status == 503
            assert b"apps" not in ready.body
