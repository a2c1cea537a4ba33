"""Files at a distance: read by ranges from a real server, well-behaved or not."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import ssl
import subprocess
import sys
import threading
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vodsprite.errors import AddressRefused, FailureKind, VideoError
from vodsprite.outbound import ranges
from vodsprite.outbound.addresses import AddressRules
from vodsprite.outbound.ranges import Limits, RangeFile, is_url, open_url, shown
from vodsprite.testing.painted import Painting, paint
from vodsprite.testing.ranged import Conduct, RangedServer

LOOPBACK = AddressRules.parse("loopback")
NOTHING = AddressRules.parse("")

DATA = random.Random(3).randbytes(1_000_000)


def read_all(url: str, limits: Limits | None = None) -> bytes:
    with open_url(url, LOOPBACK, limits=limits) as file:
        return file.read()


def refusal(url: str, limits: Limits | None = None) -> str:
    with pytest.raises(VideoError) as caught:
        read_all(url, limits)
    assert caught.value.kind is FailureKind.NOT_ACCESSIBLE
    return str(caught.value)


def test_it_is_a_seekable_file() -> None:
    """Any order of seeking and reading gives the bytes of the file, as a local one would."""
    chance = random.Random(7)
    local = io.BytesIO(DATA)
    with RangedServer(DATA) as server, open_url(server.url(), LOOPBACK) as file:
        assert file.seek(0, io.SEEK_END) == len(DATA)
        assert file.read(10) == b""
        for _ in range(200):
            at, length = chance.randrange(len(DATA) + 10), chance.choice([1, 100, 32_768, 200_000])
            assert file.seek(at) == local.seek(at) == at
            assert file.read(length) == local.read(length)
            assert file.tell() == local.tell()
        assert file.seek(-5, io.SEEK_END) == len(DATA) - 5
        assert file.seek(2, io.SEEK_CUR) == len(DATA) - 3
        assert file.read() == DATA[-3:]
        with pytest.raises(ValueError, match="before the file"):
            file.seek(-1)
    assert server.connections == 1


def test_only_what_is_read_is_sent() -> None:
    """Distant pieces cost themselves and the head; what was read once is not asked for again."""
    with RangedServer(DATA) as server, open_url(server.url(), LOOPBACK) as file:
        for at in (500_000, 900_000, 500_000, 900_000, 0):
            file.seek(at)
            assert file.read(20_000) == DATA[at : at + 20_000]
    assert server.sent == 32_768 + 2 * 20_000
    assert [span for _, span in server.requests] == [
        "bytes=0-32767",
        "bytes=500000-519999",
        "bytes=900000-919999",
    ]


def test_reading_on_needs_few_requests_and_little_more_than_is_read() -> None:
    """Small reads in a row are fetched in growing pieces, of which at most a quarter is in vain."""
    data = random.Random(1).randbytes(8_000_000)
    with RangedServer(data) as server, open_url(server.url(), LOOPBACK) as file:
        assert b"".join(iter(lambda: file.read(32_768), b"")) == data
        assert len(server.requests) < 60
        whole = server.sent
        file.seek(0)
        for _ in range(40):
            file.read(32_768)
    assert whole == len(data)


def test_the_cache_stays_small() -> None:
    """A file of 40 MB read in pieces leaves no more than 8 MiB of it in memory."""
    data = bytes(40_000_000)
    with RangedServer(data) as server, open_url(server.url(), LOOPBACK) as file:
        assert isinstance(file, RangeFile)
        while file.read(300_000):
            assert file.held <= ranges.CACHE_BYTES


def test_each_thread_reads_at_its_own_place() -> None:
    """Several decoders open one source; none moves another's position."""
    same: list[bool] = []
    with RangedServer(DATA) as server, open_url(server.url(), LOOPBACK) as file:

        def read_from(start: int) -> None:
            file.seek(start)
            places = range(start, start + 200_000, 10_000)
            same.extend(file.read(10_000) == DATA[at : at + 10_000] for at in places)

        threads = [threading.Thread(target=read_from, args=(start,)) for start in (0, 300_000, 600_000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert same == [True] * 60


@pytest.mark.parametrize("reset", [False, True])
def test_answers_that_break_off_are_taken_up_again(reset: bool) -> None:
    """Short bodies, ended or reset: the file is whole, and what had come is not asked for twice."""
    conduct = Conduct(short=[32_768, 1000, 0, 70_000, 5], reset=reset)
    with RangedServer(DATA, conduct) as server:
        assert read_all(server.url()) == DATA
    assert server.sent >= len(DATA)
    if not reset:
        assert server.sent == len(DATA)


def test_a_server_that_keeps_breaking_off_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five tries in a row without a byte, and the message says what the server does."""
    monkeypatch.setattr(ranges, "_WAIT_S", 0.0)
    with RangedServer(DATA, Conduct(short=[32_768] + [0] * 100)) as server:
        assert refusal(server.url()) == "cannot be read: the server breaks off"
        # The first of the five tries met the connection that the server had closed.
        assert len(server.requests) == 1 + 4


def test_connections_that_servers_close_are_made_anew() -> None:
    """A server that ends every connection costs connections, not errors."""
    with RangedServer(DATA, Conduct(closes=True)) as server:
        assert read_all(server.url()) == DATA
        assert server.connections == len(server.requests)


def test_a_busy_server_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """503 and 429 are no last word, up to five of them."""
    monkeypatch.setattr(ranges, "_WAIT_S", 0.0)
    with RangedServer(DATA, Conduct(statuses=[503, 429])) as server:
        assert read_all(server.url()) == DATA
    with RangedServer(DATA, Conduct(statuses=[503] * 9)) as server:
        assert refusal(server.url()) == "cannot be read: the server answers 503"


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_the_last_word(status: int) -> None:
    """Statuses that trying again won't change are told at once."""
    with RangedServer(DATA, Conduct(statuses=[status])) as server:
        assert refusal(server.url()) == f"cannot be read: the server answers {status}"
        assert len(server.requests) == 1


@pytest.mark.parametrize("tells_length", [True, False])
def test_without_ranges_the_file_is_downloaded_once_up_to_a_limit(tells_length: bool) -> None:
    """A plain server: one request; beyond the limit the message says why it is not read."""
    conduct = Conduct(ranges=False, tells_length=tells_length)
    with RangedServer(DATA, conduct) as server:
        with open_url(server.url(), LOOPBACK) as file:
            file.seek(999_990)
            assert file.read() == DATA[-10:]
        assert len(server.requests) == 1
        message = refusal(server.url(), Limits(download_bytes=999_999))
    assert "knows no range requests" in message
    assert "999999 bytes" in message


def test_bytes_are_capped() -> None:
    """More than the limit, in all, is not fetched."""
    with RangedServer(DATA) as server:
        assert "takes more than 500000 bytes" in refusal(server.url(), Limits(received_bytes=500_000))


def test_time_is_capped() -> None:
    """A server that stays silent costs the time that is allowed."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/"
        assert refusal(url, Limits(total_s=0.2)) == "takes more than 0.2 s to be read"


def test_a_file_that_changes_is_not_mixed() -> None:
    """Another ETag in mid-read ends the reading; parts of two files never meet."""
    conduct = Conduct(etag=lambda number: '"1"' if number < 3 else '"2"')

    def read(server: RangedServer) -> None:
        with open_url(server.url(), LOOPBACK) as file:
            for at in (0, 200_000, 400_000):
                file.seek(at)
                assert file.read(1000) == DATA[at : at + 1000]
            file.seek(600_000)
            file.read(1000)
            pytest.fail("bytes of another file were read")

    with RangedServer(DATA, conduct) as server, pytest.raises(VideoError, match="changed while it was read"):
        read(server)


def test_a_failure_ends_the_block_even_if_it_was_swallowed() -> None:
    """Decoders take an error for the end of a file; the result must not pass for the whole."""

    def swallow(server: RangedServer) -> None:
        with open_url(server.url(), LOOPBACK) as file:
            server.conduct.statuses = [404]
            file.seek(500_000)
            with suppress(VideoError):
                file.read(10)

    with RangedServer(DATA) as server, pytest.raises(VideoError, match="the server answers 404"):
        swallow(server)


def test_another_range_than_was_asked_for_is_refused() -> None:
    """Bytes of another place would be garbage in the right place."""
    with RangedServer(DATA, Conduct(shift=7)) as server:
        assert "another range" in refusal(server.url())


def test_five_redirects_are_followed_and_no_more() -> None:
    """The last place is remembered: ranges after the first don't go round again."""
    chain = {f"/{n}": f"/{n + 1}" for n in range(6)}
    with RangedServer(DATA, Conduct(redirects=chain)) as server:
        assert read_all(server.url("/1")) == DATA
        assert sum(path != "/6" for path, _ in server.requests) == 5
        assert "more than 5 redirects" in refusal(server.url("/0"))


@pytest.mark.parametrize(
    ("location", "rule"),
    [
        ("http://169.254.169.254/latest/meta-data", "cloud metadata service"),
        ("http://10.0.0.1/", "private, RFC 1918"),
        ("http://[::ffff:10.0.0.1]/", "private, RFC 1918"),
        ("http://0.0.0.0/", "this host on this network"),
    ],
)
def test_a_redirect_to_a_refused_address_is_refused(location: str, rule: str) -> None:
    """Each hop is checked: an allowed server can't lend its permission to another address."""
    with (
        RangedServer(DATA, Conduct(redirects={"/a": location})) as server,
        pytest.raises(AddressRefused, match=rule),
        open_url(server.url("/a"), LOOPBACK),
    ):
        pass


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "ftp://127.0.0.1/", "http://user:word@127.0.0.1/"]
)
def test_a_redirect_to_anything_but_a_plain_web_address_is_refused(location: str) -> None:
    """Files of this machine above all."""
    with RangedServer(DATA, Conduct(redirects={"/a": location})) as server:
        assert "cannot be read" in refusal(server.url("/a"))
        assert len(server.requests) == 1


def test_nothing_is_dialled_that_isnt_allowed() -> None:
    """Without a word about it, loopback is refused before a byte is sent; a name that leads there too."""
    with RangedServer(DATA) as server:
        for host in ("127.0.0.1", "localhost"):
            url = server.url().replace("127.0.0.1", host)
            with (
                pytest.raises(AddressRefused, match="VODSPRITE_OUTBOUND_ALLOW=loopback"),
                open_url(url, NOTHING),
            ):
                pass
        assert server.connections == 0


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would dial where nobody checks."""
    with RangedServer(DATA) as proxy, RangedServer(DATA[:1000]) as server:
        monkeypatch.setenv("http_proxy", proxy.url("/"))
        monkeypatch.setenv("HTTP_PROXY", proxy.url("/"))
        assert read_all(server.url()) == DATA[:1000]
        assert proxy.connections == 0


def test_https_is_read_from_whom_the_certificate_names(tmp_path: Path) -> None:
    """A certificate that is trusted and names the host is needed, and said to be wrong otherwise."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not there")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-keyout",
                key,
                "-out",
                certificate,
            ),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trust = ssl.create_default_context(cafile=str(certificate))
    with RangedServer(DATA, tls=context) as server:
        url = f"https://localhost:{server.port}/v.mp4"
        with open_url(url, LOOPBACK, tls=trust) as file:
            file.seek(500_000)
            assert file.read(1000) == DATA[500_000:501_000]
        for address, whom in ((url, None), (url.replace("localhost", "127.0.0.1"), trust)):
            with (
                pytest.raises(VideoError, match="certificate is not valid"),
                open_url(address, LOOPBACK, tls=whom),
            ):
                pass


def test_an_object_of_a_store_is_read_by_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """`s3://` by its vendor's environment, against a server that speaks as much of S3 as reading needs."""
    with RangedServer(DATA) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url(""))
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        with open_url("s3://bucket/folder/video.mp4", NOTHING) as file:
            file.seek(500_000)
            assert file.read(1000) == DATA[500_000:501_000]
            file.seek(-10, io.SEEK_END)
            assert file.read() == DATA[-10:]
        assert server.sent == 1010
        server.conduct.statuses = [404] * 20
        with pytest.raises(VideoError, match="cannot be read"), open_url("s3://bucket/none.mp4", NOTHING):
            pass


def test_messages_name_no_secrets_of_a_url() -> None:
    """User, query and fragment stay out."""
    assert shown("https://user:word@a.example:8443/v.mp4?sig=secret#x") == "https://a.example:8443/v.mp4"
    assert [is_url(text) for text in ("HTTP://a/b", "s3://b/k", "a/b.mp4", "file:///a", "C://x")] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise, so that what is skipped weighs more than what is read: 160 pictures, a keyframe every second."""
    path = tmp_path_factory.mktemp("video") / "v.mp4"
    chance = np.random.default_rng(5)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 192, "yuv420p"
        stream.codec_context.gop_size = 25
        stream.codec_context.options = {"preset": "veryfast", "crf": "23", "sc_threshold": "0"}
        for number in range(160):
            frame = av.VideoFrame.from_ndarray(chance.integers(0, 256, (192, 320, 3), np.uint8))
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vodsprite.cli.main", "render", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("accuracy", ["cue", "exact", "keyframe"])
def test_rendering_a_url_gives_the_bytes_of_rendering_the_file(
    tmp_path: Path, suffix: str, accuracy: str
) -> None:
    """Whatever the container, and how much of it must be read."""
    path = paint(tmp_path / f"v{suffix}", Painting(frames=200))
    with RangedServer(path.read_bytes()) as server:
        for name, source in (("file", path), ("url", server.url(f"/v{suffix}?token=secret"))):
            done = run(
                source, "-o", tmp_path / name, "--accuracy", accuracy, "--interval", 1, "--allow", "loopback"
            )
            assert (done.returncode, done.stderr) == (0, "")
    file, url = ({each.name: each.read_bytes() for each in (tmp_path / n).iterdir()} for n in ("file", "url"))
    assert file == url


def test_keyframes_of_an_mp4_cost_little_more_than_themselves(video: Path, tmp_path: Path) -> None:
    """Of a file whose pictures are mostly skipped, a small part is sent."""
    with av.open(str(video)) as container:
        needed = sum(packet.size for packet in container.demux(video=0) if packet.is_keyframe)
    assert needed > 200_000
    with RangedServer(video.read_bytes()) as server:
        done = run(
            *(server.url(), "-o", tmp_path, "--accuracy", "keyframe", "--interval", 1, "--json"),
            VODSPRITE_OUTBOUND_ALLOW="127.0.0.0/8",
        )
        assert done.returncode == 0
        assert json.loads(done.stdout)["total_count"] == 7
    # Besides the keyframes: the index, and the packets at both ends that measuring reads.
    assert needed < server.sent < needed + 450_000 < video.stat().st_size / 5


def test_a_server_that_fails_half_way_leaves_what_was_there(video: Path, tmp_path: Path) -> None:
    """The old set stays, and one line names the cause, not the secret in the URL."""
    (tmp_path / "imageSprite_10.vtt").write_text("the old one")
    conduct = Conduct(etag=lambda number: '"1"' if number < 6 else '"2"')
    with RangedServer(video.read_bytes(), conduct) as server:
        done = run(server.url("/v.mp4?token=secret"), "-o", tmp_path, "--interval", 1, "--allow", "loopback")
    assert done.returncode == 3
    [line] = done.stderr.splitlines()
    assert "/v.mp4: changed while it was read" in line
    assert "secret" not in line
    assert [each.name for each in tmp_path.iterdir()] == ["imageSprite_10.vtt"]
    assert (tmp_path / "imageSprite_10.vtt").read_text() == "the old one"


def test_what_can_not_be_fetched_is_exit_3(tmp_path: Path) -> None:
    """A refused address names the setting that would allow it; a wrong --allow is wrong usage."""
    with RangedServer(DATA) as server:
        done = run(server.url(), "-o", tmp_path / "out")
        assert done.returncode == 3
        assert "VODSPRITE_OUTBOUND_ALLOW=loopback would allow it" in done.stderr
        assert run(server.url(), "-o", tmp_path / "out", "--allow", "everything").returncode == 2
        done = run(server.url(), "-o", tmp_path / "out", "--allow", "loopback")
        assert (done.returncode, len(done.stderr.splitlines())) == (3, 1)
    assert not (tmp_path / "out").exists()
