"""The lenses filters, walk and nearest: against numpy and torch's own pictures of the same noise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from small_models import computed

from torchtty.engine.contract.errors import UserError
from torchtty.engine.lenses import filters, nearest, walk
from torchtty.engine.lenses.pictures import packed, signed, stretched, unpacked
from torchtty.engine.training.task import build_task


@pytest.fixture
def task(configured: Callable[..., Any]) -> Any:
    return build_task(configured("dcgan", sampling__count="9"))


class TestFilters:
    def test_a_map_is_the_filter_laid_over_every_place(self, task: Any) -> None:
        result = computed(filters.compute, task, {"layer": "discriminator.layers.0", "example": 2, "map": 3})
        picture = np.pad(task.example_batch()[1][2, 0].numpy(), 1)  # stride 2, padding 1
        kernel = task.discriminator.layers[0].weight[2, 0].detach().numpy()
        places = range(0, 32, 2)
        expected = [[(picture[y : y + 4, x : x + 4] * kernel).sum() for x in places] for y in places]
        assert np.array(result["map"]) == pytest.approx(np.array(expected), rel=1e-3, abs=1e-4)
        assert np.array(result["filter"])[:, :, 0] == pytest.approx(kernel, rel=1e-3)
        assert result["strengths"][2] == pytest.approx(np.abs(expected).mean(), rel=1e-3)
        maps = unpacked(result["maps"])
        assert maps.shape == (4, 16, 16, 1)
        assert (maps.min(), maps.max()) == (0, 255)
        shown = unpacked(result["picture"])[0, :, :, 0]
        assert shown == pytest.approx((task.example_batch()[1][2, 0].numpy() + 1) * 127.5, abs=0.51)

    def test_layers_come_in_the_order_of_their_calls_and_one_is_chosen(self, task: Any) -> None:
        result = computed(filters.compute, task, {})
        names = [layer["name"] for layer in result["layers"]]
        assert names == result["choices"]["layer"]
        assert names[0] == "generator.layers.0"
        assert result["layer"] == "discriminator.layers.0", "the first that reads pictures"
        assert computed(filters.compute, task, {"layer": names[0]})["picture"] is None, "the generator reads none"
        last = next(layer for layer in result["layers"] if layer["name"] == "generator.layers.9")
        assert last == {
            "name": "generator.layers.9",
            "type": "ConvTranspose2d",
            "takes": 4,
            "gives": 1,
            "kernel": [4, 4],
            "size": [32, 32],
        }
        assert len(result["layers"]) == 8

    def test_deep_filters_show_how_strongly_they_look_where(self, task: Any) -> None:
        result = computed(filters.compute, task, {"layer": "discriminator.layers.2"})
        weights = task.discriminator.layers[2].weight.detach().numpy()  # (8, 4, 4, 4)
        assert np.array(result["filter"])[:, :, 0] == pytest.approx(np.sqrt((weights[0] ** 2).mean(0)), rel=1e-3)
        assert result["signed"] is False

    def test_a_model_without_convolutions_is_refused(self, configured: Callable[..., Any]) -> None:
        with pytest.raises(UserError, match="This model has no convolution"):
            computed(filters.compute, build_task(configured("mlp")), {})


class TestWalk:
    def test_it_begins_and_ends_at_pictures_of_its_noises(self, task: Any) -> None:
        result = computed(walk.compute, task, {"rows": 2, "frames": 5, "seed": 3})
        pictures = unpacked(result["pictures"]).reshape(2, 5, 32, 32, 1)
        ends = torch.randn(3, task.noise_size, generator=torch.Generator().manual_seed(3))
        for row in range(2):
            assert abs(pictures[row, 0].astype(int) - task.pictures_of(ends[row : row + 1])[0]).max() <= 1
            assert abs(pictures[row, -1].astype(int) - task.pictures_of(ends[row + 1 : row + 2])[0]).max() <= 1
        cosine = float(torch.dot(ends[0], ends[1]) / ends[0].norm() / ends[1].norm())
        assert result["angles"][0] == pytest.approx(np.degrees(np.arccos(cosine)), abs=0.01)
        change = np.abs(pictures[1, 2].astype(float) - pictures[1, 1]).mean()
        assert result["changes"][1][1] == pytest.approx(change, abs=1e-3)

    def test_its_noises_stay_on_the_arc(self) -> None:
        first, last = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
        middle = walk.between(first, last, 0.5)
        assert middle.tolist() == pytest.approx([2**0.5, 2**0.5])
        assert walk.between(first, last, 1 / 3).tolist() == pytest.approx(
            [2 * np.cos(np.pi / 6), 2 * np.sin(np.pi / 6)]
        )
        assert walk.between(first, 2 * first, 0.5).tolist() == [3.0, 0.0], "along one line there is no arc"


class TestNearest:
    def test_neighbours_by_numpy(self, task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(nearest, "AT_ONCE", 7)  # in several parts
        result = computed(nearest.compute, task, {"count": 3, "seed": 5})
        drawn = task.pictures_of(torch.randn(3, task.noise_size, generator=torch.Generator().manual_seed(5)))
        learnt = task.pictures.permute(0, 2, 3, 1).numpy()
        apart = np.sqrt(((drawn[:, None].astype(float) - learnt[None]) ** 2).mean((2, 3, 4)))  # (3, 20)
        order = np.argsort(apart, 1)[:, :4]
        assert result["places"] == order.tolist()
        assert np.array(result["distances"]) == pytest.approx(np.take_along_axis(apart, order, 1), abs=1e-2)
        shown = unpacked(result["pictures"]).reshape(3, 5, 32, 32, 1)
        assert (shown[:, 0] == drawn).all()
        assert (shown[:, 1:] == learnt[order]).all()
        among = np.sqrt(((learnt[:, None].astype(float) - learnt[None]) ** 2).mean((2, 3, 4)))
        np.fill_diagonal(among, np.inf)
        assert result["real"] == pytest.approx(sorted(among.min(1)), abs=1e-2)

    def test_a_memorised_picture_is_found_at_distance_0(self, task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        learnt = task.pictures.permute(0, 2, 3, 1).numpy()
        monkeypatch.setattr(task, "pictures_of", lambda noise: learnt[11 : 11 + len(noise)])
        result = computed(nearest.compute, task, {"count": 2})
        assert [row[0] for row in result["places"]] == [11, 12]
        assert [row[0] for row in result["distances"]] == [0, 0]
        assert result["real"][0] > 0, "a real picture is not its own neighbour"

    def test_once_training_is_over_the_pictures_are_read_again(self, task: Any) -> None:
        before = computed(nearest.compute, task, {"count": 2})
        task.forget_training()
        assert computed(nearest.compute, task, {"count": 2}) == before


def test_pictures_travel_as_text() -> None:
    pictures = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    assert (unpacked(packed(pictures)) == pictures).all()


def test_shades_span_each_map_and_one_scale_holds_for_all_filters() -> None:
    maps = torch.tensor([[[0.0, 1.0]], [[-2.0, -6.0]], [[5.0, 5.0]]])
    assert stretched(maps)[:, 0, :, 0].tolist() == [[0, 255], [255, 0], [128, 128]]
    assert signed(torch.tensor([[[[0.0], [2.0]]], [[[-2.0], [1.0]]]]))[:, 0, :, 0].tolist() == [[128, 255], [0, 191]]
