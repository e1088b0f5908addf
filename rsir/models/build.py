"""From a recipe to a model with its encoders."""

from rsir.data import Split
from rsir.data.text import Vocabulary
from rsir.encoders import image_encoder, text_encoder
from rsir.models.base import Retriever
from rsir.models.recipes import Recipe
from rsir.models.registry import model_class


def build(
    recipe: Recipe, train: Split | None = None, vocabulary: Vocabulary | None = None
) -> Retriever:
    """The model of a recipe, with its encoders.

    Args:
        recipe: says which method, encoders and options.
        train: its captions make the vocabulary of a GRU.
        vocabulary: used in place of a new one.
    """
    options = {}
    if recipe.text_encoder in ("gru", "uniskip"):
        if vocabulary is None and train is not None:
            vocabulary = Vocabulary.build(train.captions, recipe.vocabulary_threshold)
        if recipe.text_encoder == "gru":
            options = {"dropout": recipe.word_dropout}
    else:
        options = {"layers_trained": recipe.text_layers}
    return model_class(recipe.method)(
        image_encoder(recipe.image_encoder, size=recipe.image_size, views=recipe.views),
        text_encoder(recipe.text_encoder, vocabulary, **options),
        **recipe.model_options(),
    )
