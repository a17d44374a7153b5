"""Texts in any encoding: detected, chosen, or refused with a remedy that works."""

from __future__ import annotations

import bz2
import codecs
import json
from pathlib import Path

import pytest
from conftest import Run
from contents import gzipped, triples

from mfcli.config import read_config
from mfcli.data import read_ratings
from mfcli.data.formats.encodings import as_utf8, is_utf8
from mfcli.errors import ConfigError, DataError, MfcliWarning

TEXT = "user,item,rating,ts\r\nzoë,1,3.5,7\r\nzoë,2,4,8\r\n一,1,0.5,9\r\n"
EXPECTED = [("zoë", 1, 3.5), ("zoë", 2, 4.0), ("一", 1, 0.5)]


CERTAIN = [
    pytest.param(TEXT.encode("utf-8-sig"), id="utf-8-sig"),
    pytest.param(codecs.BOM_UTF8 + TEXT.encode("utf-8-sig"), id="two marks"),
    pytest.param(TEXT.encode("utf-16"), id="utf-16"),
    pytest.param(codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), id="utf-16-be"),
    pytest.param(TEXT.encode("utf-16-le"), id="utf-16-le without mark"),
    pytest.param(TEXT.encode("utf-16-be"), id="utf-16-be without mark"),
    pytest.param(TEXT.encode("utf-32"), id="utf-32"),
    pytest.param(gzipped(TEXT.encode("utf-16")), id="gzip"),
    pytest.param(bz2.compress(TEXT.encode("utf-16-le")), id="bz2"),
]


@pytest.mark.parametrize("data", CERTAIN)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_encodings_are_detected(tmp_path: Path, data: bytes, encoding: str) -> None:
    (tmp_path / "data").write_bytes(data)
    assert triples(read_ratings(tmp_path / "data", encoding=encoding)) == EXPECTED


@pytest.mark.parametrize("start", ["", "\r\n\n\ufeff", "# a comment\n\ufeff", "\ufeff\n\ufeff"])
def test_utf8_is_the_default(tmp_path: Path, start: str) -> None:
    (tmp_path / "data").write_bytes((start + TEXT).encode())
    assert triples(read_ratings(tmp_path / "data")) == EXPECTED


@pytest.mark.parametrize(
    ("encoding", "user"),
    [("latin-1", "zoë"), ("cp1252", "“z”"), ("shift_jis", "朝"), ("gbk", "朝")],
)
def test_encodings_can_be_chosen(tmp_path: Path, encoding: str, user: str) -> None:
    text = f"user,item,rating\n{user},1,3\n{user},2,4\n"
    (tmp_path / "data").write_bytes(text.encode(encoding))
    read = read_ratings(tmp_path / "data", encoding=encoding)
    assert triples(read) == [(user, 1, 3.0), (user, 2, 4.0)]
    assert read.source is not None
    assert codecs.lookup(read.source.settings["encoding"]) == codecs.lookup(encoding)


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (
            "user,item,rating\n1,2,3\né,2,3\n".encode("latin-1"),
            {},
            ":3: user must be UTF-8 text (byte 0xE9); if it is Latin-1 text, read it with"
            " encoding='latin-1'; skip",
        ),
        (
            "user,item,rating\n“,2,3\n".encode("cp1252"),
            {},
            ":2: user must be UTF-8 text (byte 0x93); if it is Windows-1252 text, read it with"
            " encoding='cp1252'; skip",
        ),
        (
            "usér,item,rating\n".encode("latin-1"),
            {},
            ":1: must be UTF-8 text (byte 0xE9); if it is Latin-1 text, read it with"
            " encoding='latin-1'",
        ),
        (
            b"user,item,rating\n1,2,3\na\x81,2,3\n",
            {"encoding": "cp1252"},
            ":3: is not cp1252 text (byte 0x81: character maps to <undefined>); choose another"
            " encoding",
        ),
        (TEXT.encode("utf-16")[:-1], {}, ":4: is not utf-16 text (byte 0x0A: truncated data)"),
        (
            "user,item,rating\n1,2,3\n".encode("utf-16-le") + b"\x00\xd8\x0a\x00",
            {},
            ":3: is not utf-16-le text (byte 0x00: illegal UTF-16 surrogate)",
        ),
    ],
)
def test_bytes_that_are_not_of_the_encoding(
    tmp_path: Path, data: bytes, options: dict[str, str], message: str
) -> None:
    path = tmp_path / "data"
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        read_ratings(path, **options)  # type: ignore[arg-type]
    assert str(caught.value).startswith(f"{path}{message}")


@pytest.mark.parametrize("name", ["base64", "rot13", "nonsense", "", "a\0b"])
def test_unknown_encodings(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").write_text("1,2,3\n")
    with pytest.raises(ConfigError, match="encoding must be an encoding of text, such as utf-8"):
        read_ratings(tmp_path / "data", encoding=name)
    with pytest.raises(ConfigError, match="encoding must be text, got 5"):
        read_ratings(tmp_path / "data", encoding=5)  # type: ignore[arg-type]  # on purpose


def test_text_is_converted_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mfcli.data.formats.encodings._BLOCK", 7)
    data = ("1::朝::3\n" * 50).encode("utf-16")
    (tmp_path / "data").write_bytes(data)
    with (tmp_path / "data").open("rb") as stream:
        assert as_utf8(stream, "utf-16", "data").read() == ("1::朝::3\n" * 50).encode()


def test_a_mark_before_rows_without_a_header(tmp_path: Path) -> None:
    for text in ("\ufeff7,1,3\n", "\n\ufeff7,1,3\n", '\n\ufeff"7",1,3\n', "\n\ufeff7,1,3\n \n"):
        (tmp_path / "data").write_text(text, encoding="utf-8")
        assert triples(read_ratings(tmp_path / "data")) == [(7, 1, 3.0)]


def test_parts_may_have_several_encodings(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("1,2,3\n".encode("utf-8-sig"))
    (tmp_path / "b.csv").write_bytes("4,5,1\n".encode("utf-16"))
    (tmp_path / "c.csv").write_bytes("6,7,2\n".encode("utf-8-sig"))
    assert triples(read_ratings(tmp_path)) == [(1, 2, 3.0), (4, 5, 1.0), (6, 7, 2.0)]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_settings_files_and_records_may_have_a_mark(
    run: Run, tmp_path: Path, encoding: str
) -> None:
    Path("mfcli.toml").write_bytes("k = 20\n".encode(encoding))
    assert read_config(tmp_path / "mfcli.toml").k == 20
    history = {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5]}
    Path("history.json").write_bytes(json.dumps(history).encode(encoding))
    assert run("show", "history.json").code == 0


def test_the_option(run: Run) -> None:
    rows = "".join(f"é,{n},{n % 5}\n" for n in range(20))
    Path("data.csv").write_bytes(f"user,item,rating\n{rows}".encode("latin-1"))
    done = run("split", "data.csv")
    assert done.code == 1
    assert "read it with --encoding latin-1" in done.err
    assert run("split", "data.csv", "--encoding", "latin-1").code == 0
    done = run("split", "data.csv", "--encoding", "x")
    assert done.code == 2
    assert "--encoding must be an encoding of text, such as utf-8, latin-1 or cp1252" in done.err


def test_utf8_that_is_read_in_another_encoding_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_text("user,item,rating\né,1,3\n", encoding="utf-8")
    rule = "is valid UTF-8 text, but is read as latin-1; use encoding='utf-8'"
    with pytest.warns(MfcliWarning, match=rule):
        read_ratings(path, encoding="latin-1")
    assert triples(read_ratings(path, encoding="utf-8")) == [("é", 1, 3.0)]
    path.write_text("user,item,rating\né,1,3\n", encoding="latin-1")
    assert triples(read_ratings(path, encoding="latin-1")) == [("é", 1, 3.0)]
    path.write_text("user,item,rating\ne,1,3\n", encoding="ascii")
    assert triples(read_ratings(path, encoding="latin-1")) == [("e", 1, 3.0)]


def test_utf8_is_found_in_a_head_that_ends_within_a_character() -> None:
    assert not is_utf8("aé".encode()[:-1])  # the only whole character is ASCII
    assert is_utf8("éé".encode()[:-1])
    assert not is_utf8("éa".encode("latin-1"))
