"""Looks are held against the boxes of what their words name."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rsir.data import Box
from rsir.plots.attention_maps import Look, draw_looks, looks_at_objects, on_target

BOX = Box("red plane", 10, 10, 30, 20)


class Model:
    """Every word looks evenly at the upper left quarter of 4 x 4 cells."""

    text_encoder = SimpleNamespace(
        tokenize=lambda captions: torch.tensor([[1, 2, 3]]),
        tokenizer=SimpleNamespace(
            convert_ids_to_tokens=lambda _: "a planes it".split()
        ),
    )
    eval = staticmethod(lambda: None)
    encode_images = image_features = staticmethod(lambda x: x)
    encode_texts = text_features = image_features

    def attention(self, images, texts, pairs):
        where = torch.zeros(1, 3, 4, 4)
        where[:, :, :2, :2] = 0.25
        return where.flatten(2)


def corpus(objects):
    split = {"objects": objects, "n_images": 1, "captions_of": lambda i: ["planes"]}
    return SimpleNamespace(split=SimpleNamespace(**split), images=lambda rows: {})


def test_cells_that_touch_a_box_are_inside():
    look = Look(0, "", "plane", np.full((4, 4), 1 / 16), (BOX,))
    inside = look.inside(40)
    assert np.argwhere(inside).tolist() == [[1, 1], [1, 2]]


def test_only_words_that_name_an_object_count():
    (look,) = looks_at_objects(Model(), corpus([(BOX,)]), size=40)
    assert look.word == "planes" and look.boxes == (BOX,)
    assert on_target([look], size=40) == (pytest.approx(25), pytest.approx(12.5))
    assert looks_at_objects(Model(), corpus([(BOX,)]), size=40, most=0.1) == []
    assert looks_at_objects(Model(), corpus(None)) == []


def test_heat_and_boxes_are_drawn():
    look = Look(0, "", "plane", np.eye(4) / 4, (BOX,))
    (ax,) = draw_looks([look], [np.zeros((40, 40, 3))]).axes
    assert len(ax.images) == 2 and len(ax.patches) == 1
    assert ax.get_title() == "“plane”"
