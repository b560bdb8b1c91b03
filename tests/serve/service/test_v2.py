"""The protocol with the real tritonclient: one script of calls, over HTTP and gRPC."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.support.manifests import sky_manifest
from tests.support.v2_services import Address, depth_of, mark_of, model_of, pixels, ppm, serving

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import tritonclient.grpc as over_grpc
    import tritonclient.http as over_http
    from tritonclient.utils import InferenceServerException

    from tests.support.conformance.client import IMAGES
    from tests.support.conformance.outcomes import Outcome, outcomes, same

pytestmark = pytest.mark.filterwarnings("ignore")
STATUSES = {"NOT_FOUND": "404", "INVALID_ARGUMENT": "400"}


@pytest.fixture(scope="module")
def at() -> Iterator[Address]:
    with serving(model_of(), model_of("metric", sky_manifest()), model_control=True) as found:
        yield found


@pytest.fixture(scope="module")
def found() -> dict[str, Outcome]:
    with serving(model_of(marks=False), model_control=True) as at:
        return outcomes(at.http, at.grpc)


@pytest.fixture(params=["http", "grpc"])
def client(request: pytest.FixtureRequest, at: Address) -> Iterator[Any]:
    module = {"http": over_http, "grpc": over_grpc}[request.param]
    made = module.InferenceServerClient(getattr(at, request.param))
    made.module = module
    yield made
    made.close()


def asked(client: Any, array: Any, name: str = "image", kind: str = "UINT8") -> Any:
    made = client.module.InferInput(name, list(array.shape), kind)
    made.set_data_from_numpy(array)
    return made


def parameters(client: Any, result: Any, output: str = "") -> dict[str, str]:
    """Of an answer, or of an output."""
    if client.module is over_http:
        found = result.get_output(output) if output else result.get_response()
        given: dict[str, str] = {**found["parameters"]}
        given.pop("binary_data_size", None)
        return given
    found = result.get_output(output) if output else result.get_response()
    return {name: value.string_param for name, value in found.parameters.items()}


def test_both_transports_end_alike(found: dict[str, Outcome]) -> None:
    for name in [name for name in found if f"grpc {name[5:]}" in found and name[:4] == "http"]:
        http, grpc = found[name], found[f"grpc {name[5:]}"]
        if isinstance(grpc, str) and grpc.startswith("error "):
            grpc = f"error {STATUSES[grpc[6:]]}"
        assert same(http, grpc), name


def test_answers_are_the_depth_of_the_images(found: dict[str, Outcome]) -> None:
    expected = depth_of(IMAGES)
    answers = [name for name, each in found.items() if isinstance(each, np.ndarray)]
    assert len(answers) >= 13
    for name in answers:
        np.testing.assert_allclose(found[name], expected, atol=1e-5, err_msg=name)
    first, error, third = found["grpc stream"]
    assert (first[0], error, third[0]) == ("0", "error", "2")


def test_wrong_requests_are_the_callers_fault(found: dict[str, Outcome]) -> None:
    refused = [each.split(" ")[-1] for each in found.values() if isinstance(each, str)]
    assert set(refused) == {*STATUSES, *STATUSES.values(), "error"}
    bodies = [name for name, each in found.items() if same(each, [400, "error"])]
    assert len(bodies) >= 14


def test_an_answer_says_what_its_numbers_are(client: Any, at: Address) -> None:
    images = pixels(1)
    result = client.infer("depth", [asked(client, images)], request_id="a-7")
    identity = at.service.models.find("depth").identity
    assert parameters(client, result) == {
        "artifact": identity,
        "model": "demo",
        "target": "openvino",
        "precision": "fp32",
    }
    assert parameters(client, result, "depth") == {"kind": "relative_inverse", "unit": ""}
    expected = depth_of(images, mark_of(identity))
    np.testing.assert_allclose(result.as_numpy("depth"), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("given", "focal"), [({}, None), ({"focal_px": 100}, "100"), ({"fov_deg": "60"}, "fov")]
)
def test_a_focal_length_makes_metres(client: Any, given: dict[str, Any], focal: Any) -> None:
    result = client.infer("metric", [asked(client, pixels(2))], parameters=given)
    said = parameters(client, result, "depth")
    assert said["kind"] == ("metres" if focal else "focal_normalised")
    assert said["unit"] == ("m" if focal else "")
    assert ("focal_px" in said) == bool(focal)
    assert "focal_divisor" in said or focal
    assert result.as_numpy("sky").shape == (1, 28, 42)


def test_output_size_of_the_model(client: Any) -> None:
    images = pixels(3, 2, (60, 90))
    full = client.infer("depth", [asked(client, images)]).as_numpy("depth")
    small = client.infer("depth", [asked(client, images)], parameters={"output_size": "model"})
    assert full.shape == (2, 60, 90)
    assert small.as_numpy("depth").shape == (2, 28, 42)


def test_images_of_several_sizes_make_no_tensor(client: Any) -> None:
    files = [ppm(pixels(4)[0]), ppm(pixels(4, size=(56, 84))[0])]
    sent = asked(client, np.array(files, dtype=object), "encoded", "BYTES")
    with pytest.raises(InferenceServerException, match="different sizes .28x42, 56x84 px."):
        client.infer("depth", [sent])
    small = client.infer("depth", [sent], parameters={"output_size": "model"})
    assert small.as_numpy("depth").shape == (2, 28, 42)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"focalpx": 100}, "'focalpx' is unknown, expected one of focal_px"),
        ({"focal_px": "far"}, "focal_px is 'far', expected a number"),
        ({"focal_px": "nan"}, "focal length nan px"),
        ({"fov_deg": 200}, "between 0 and 180"),
        ({"output_size": "huge"}, "output_size is 'huge', expected full or model"),
        ({"focal_px": True}, "focal_px is True"),
    ],
)
def test_parameters_are_refused(client: Any, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InferenceServerException, match=said) as raised:
        client.infer("depth", [asked(client, pixels())], parameters=given)
    assert "400" in str(raised.value.status()) or "INVALID_ARGUMENT" in raised.value.status()


def test_sequences_are_refused(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="no sequences"):
        client.infer("depth", [asked(client, pixels())], sequence_id=3, sequence_start=True)


def test_a_deadline_is_kept(client: Any) -> None:
    with pytest.raises(InferenceServerException) as raised:
        client.infer("depth", [asked(client, pixels(5, 4))], timeout=1)
    assert raised.value.status() in ("504", "StatusCode.DEADLINE_EXCEEDED")


def test_both_inputs_or_none_are_refused(client: Any) -> None:
    files = np.array([ppm(pixels()[0])], dtype=object)
    both = [asked(client, pixels()), asked(client, files, "encoded", "BYTES")]
    for inputs in (both, []):
        with pytest.raises(InferenceServerException, match="either image or encoded"):
            client.infer("depth", inputs)


@pytest.mark.parametrize("data", [b"", b"no image", ppm(pixels()[0])[:-5]])
def test_a_file_that_is_no_image_is_named(client: Any, data: bytes) -> None:
    files = np.array([ppm(pixels()[0]), data], dtype=object)
    with pytest.raises(InferenceServerException, match="image 1|damaged|truncated") as raised:
        client.infer("depth", [asked(client, files, "encoded", "BYTES")])
    assert raised.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")


def test_too_many_images_are_refused(client: Any) -> None:
    with pytest.raises(InferenceServerException, match="17 images in a request: expected 1 to 16"):
        client.infer("depth", [asked(client, pixels(6, 17))])


def test_statistics_are_of_real_requests(client: Any, at: Address) -> None:
    def stats() -> dict[str, Any]:
        return at.service.statistics.of(at.service.models.find("depth"))

    before = stats()
    client.infer("depth", [asked(client, pixels(7, 3))])
    with pytest.raises(InferenceServerException):
        client.infer("depth", [asked(client, pixels())], parameters={"x": 1})
    after = stats()
    counts = after["inference_stats"], before["inference_stats"]
    assert after["inference_count"] - before["inference_count"] == 3
    for name, grown in (("success", 1), ("fail", 1), ("queue", 1), ("compute_infer", 1)):
        assert counts[0][name]["count"] - counts[1][name]["count"] == grown
        assert name == "queue" or counts[0][name]["ns"] > counts[1][name]["ns"]
    assert after["last_inference"] > 1.6e12
