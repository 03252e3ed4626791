"""API keys, read from a folder that the kubelet changes at any moment."""

from pathlib import Path

import pytest
from tests.fakes.clock import FakeClock

from sympozium_http.bearer_keys import BearerKeys


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def keys_of(folder: Path, clock: FakeClock) -> BearerKeys:
    return BearerKeys(folder, prefix="api-key", clock=clock.monotonic)


def mount(folder: Path, version: str, **keys: str) -> None:
    """As the kubelet mounts a Secret: files are links through ``..data``, which is swapped as a whole."""
    data = folder / f"..{version}"
    data.mkdir()
    for name, key in keys.items():
        (data / name.replace("_", "-")).write_text(key)
        link = folder / name.replace("_", "-")
        if not link.is_symlink():
            link.symlink_to(f"..data/{link.name}")
    swap = folder / "..data_tmp"
    swap.symlink_to(data.name)
    swap.rename(folder / "..data")


def test_a_key_is_known_by_the_name_of_its_file(tmp_path: Path, clock: FakeClock) -> None:
    mount(tmp_path, "1", api_key="sk-one\n", api_key_alice="sk-alice", other="sk-other")
    keys = keys_of(tmp_path, clock)
    assert keys.identify("Bearer sk-one") == "api-key"
    assert keys.identify("bearer  sk-alice ") == "api-key-alice"
    for wrong in ("Bearer sk-other", "Bearer ", "Bearer", "Basic sk-one", "", None):
        assert keys.identify(wrong) is None


def test_a_removed_key_is_refused_while_its_dangling_link_remains(tmp_path: Path, clock: FakeClock) -> None:
    mount(tmp_path, "1", api_key="sk-one", api_key_alice="sk-alice")
    keys = keys_of(tmp_path, clock)
    assert keys.identify("Bearer sk-alice") == "api-key-alice"
    mount(tmp_path, "2", api_key="sk-one")
    clock.advance(2)
    assert keys.identify("Bearer sk-alice") is None
    assert keys.identify("Bearer sk-one") == "api-key"


def test_a_key_that_stays_is_never_missed_while_the_folder_is_swapped(
    tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a link and the look behind it, the folder that it led to may have gone."""
    mount(tmp_path, "1", api_key="sk-one")
    read, missed = Path.read_bytes, list[Path]()

    def misses_once(file: Path) -> bytes:
        if not missed:
            missed.append(file)
            raise FileNotFoundError(file)
        return read(file)

    monkeypatch.setattr(Path, "read_bytes", misses_once)
    assert keys_of(tmp_path, clock).identify("Bearer sk-one") == "api-key"
    assert missed


def test_a_key_may_be_any_bytes_and_harms_no_other_key(tmp_path: Path, clock: FakeClock) -> None:
    mount(tmp_path, "1", api_key="sk-one", api_key_empty="")
    (tmp_path / "api-key-odd").write_bytes(b"\xff\xfe")
    keys = keys_of(tmp_path, clock)
    assert keys.identify("Bearer sk-one") == "api-key"
    assert keys.identify(b"Bearer \xff\xfe".decode("latin-1")) == "api-key-odd"


def test_a_key_that_was_removed_or_replaced_is_still_known_by_name(tmp_path: Path, clock: FakeClock) -> None:
    mount(tmp_path, "1", api_key="sk-one", api_key_two="sk-two")
    keys = keys_of(tmp_path, clock)
    assert keys.identify("Bearer sk-one") == "api-key"
    assert keys.identify_former("Bearer sk-one") is None
    (tmp_path / "api-key").unlink()
    (tmp_path / "api-key-two").unlink()
    (tmp_path / "api-key-two").write_text("sk-new")
    clock.advance(2)
    for former, name in (("sk-one", "api-key"), ("sk-two", "api-key-two")):
        assert keys.identify(f"Bearer {former}") is None
        assert keys.identify_former(f"Bearer {former}") == name
    assert keys.identify_former("Bearer sk-new") is None
    assert keys.identify_former("Bearer unknown") is None


@pytest.mark.parametrize("folder", ["", "not-there"])
def test_without_keys_every_caller_is_refused(tmp_path: Path, clock: FakeClock, folder: str) -> None:
    assert keys_of(tmp_path / folder, clock).identify("Bearer ") is None
    assert keys_of(tmp_path / folder, clock).identify("Bearer sk-one") is None
