from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.fakes.tiny_encoder import write_tiny_encoder
from training.dataset import Dataset, Example
from training.encoders import EncoderSource, find_encoder
from training.encoding import EncodedExample, LengthGroupedOrder, chosen_max_length, collator, encode
from training.failures import InvalidSettings
from training.heads import HeadSettings, SequenceClassifier, load_encoder, mean_pool
from training.model_making import load_tokenizer, make_tokenizer
from training.schedule import chosen_epochs, chosen_rate, class_weights
from training.settings import FineTuneSettings
from training.settings_reading import load_settings
from training.vocabulary import extend_embeddings


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_encoder(tmp_path_factory.mktemp("encoder"))


def test_the_packaged_encoder_is_found_and_its_weights_are_those_expected() -> None:
    source = find_encoder("minilm")
    assert (Path(source.location) / "model.safetensors").is_file()
    assert source.pooling == "mean"


@pytest.mark.parametrize(("model", "part"), [("./nowhere", "does not exist"), ("{empty}", "no config.json")])
def test_a_wrong_folder_is_refused(tmp_path: Path, model: str, part: str) -> None:
    with pytest.raises(InvalidSettings, match=part):
        find_encoder(model.format(empty=tmp_path))


def test_a_model_that_cannot_be_loaded_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="give a folder made by save_pretrained, a hub id"):
        load_tokenizer(str(tmp_path))


def test_a_folder_without_a_vocabulary_is_explained(encoder: Path, tmp_path: Path) -> None:
    shutil.copy(encoder / "config.json", tmp_path)
    with pytest.raises(InvalidSettings, match=r"no tokenizer.json and no vocabulary.* save_pretrained"):
        load_tokenizer(str(tmp_path))


@given(st.lists(st.integers(1, 60), min_size=1, max_size=200), st.integers(1, 16), st.integers(0, 3), st.integers(0, 3))
def test_an_epoch_holds_every_row_once_and_depends_on_seed_and_epoch_alone(
    lengths: list[int], batch: int, seed: int, epoch: int
) -> None:
    order, again = LengthGroupedOrder(lengths, batch, seed), LengthGroupedOrder(lengths, batch, seed)
    for each in (order, again):
        each.set_epoch(epoch)
    rows = list(order)
    torch.rand(3)  # the global random state has no say
    assert sorted(rows) == list(range(len(lengths)))
    assert rows == list(again)


def test_a_batch_is_padded_to_its_own_longest_row() -> None:
    batch = collator(7)([EncodedExample([1, 2, 3], [0, 0, 1], 1), EncodedExample([4], [0], 0)])
    assert batch["input_ids"].tolist() == [[1, 2, 3], [4, 7, 7]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 1], [0, 0, 0]]
    assert batch["labels"].tolist() == [1, 0]


def test_pairs_get_segment_ids_and_long_texts_are_cut(encoder: Path) -> None:
    rows = encode([Example("team won", "a", "market fell " * 30)], load_tokenizer(str(encoder)), [0], 16)
    assert rows.lengths == [16]
    assert set(rows[0].token_type_ids) == {0, 1}


def test_the_maximum_length_covers_nearly_all_rows_within_bounds() -> None:
    assert chosen_max_length([10] * 1000, 512) == 64
    assert chosen_max_length([10] * 900 + [100] * 100, 512) == 104
    assert chosen_max_length([400] * 10, 512) == 256
    assert chosen_max_length([400] * 10, 128) == 128


def test_mean_pooling_ignores_padding() -> None:
    hidden = torch.tensor([[[1.0], [3.0], [100.0]]])
    assert mean_pool(hidden, torch.tensor([[1, 1, 0]])).tolist() == [[2.0]]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_saved_classifier_answers_as_before(encoder: Path, tmp_path: Path, pooling: str) -> None:
    settings = HeadSettings.model_validate({"labels": ["a", "b"], "pooling": pooling})
    model = SequenceClassifier(load_encoder(str(encoder)), settings).eval()
    model.save(tmp_path)
    ids = torch.tensor([[2, 9, 10, 3]])
    with torch.inference_mode():
        expected, actual = (each(ids, torch.ones_like(ids)) for each in (model, SequenceClassifier.load(tmp_path)))
    assert torch.equal(expected, actual)


def settings_for(encoder: Path) -> FineTuneSettings:
    return load_settings(None, {"name": "toy", "model": str(encoder)}, {"path": "rows.csv"})


def test_unknown_characters_become_tokens_that_serving_knows_too(encoder: Path, tmp_path: Path) -> None:
    rows = [Example(text, "a") for text in ("猫喜欢狗", "狗不喜欢猫", "猫和狗")]
    dataset = Dataset(rows, rows, rows, ["a"], "")
    source = EncoderSource(str(encoder), str(encoder), "mean")
    before = len(load_tokenizer(str(encoder)))

    tokenization = make_tokenizer(source, dataset, settings_for(encoder), tmp_path / "tokenizer")

    assert tokenization.added == 4  # each of 猫狗喜欢 occurs twice, the others once
    model = load_encoder(str(encoder))
    known = model.get_input_embeddings().weight.detach().clone()
    extend_embeddings(model, len(tokenization.tokenizer), seed=1)
    assert model.get_input_embeddings().weight.shape[0] == before + 4
    assert torch.equal(model.get_input_embeddings().weight[:before], known)
    serving = Tokenizer.from_file(str(tmp_path / "tokenizer" / "tokenizer.json"))
    assert serving.encode("猫喜欢狗").ids == tokenization.tokenizer("猫喜欢狗")["input_ids"]
    assert serving.token_to_id("[UNK]") not in serving.encode("猫喜欢狗").ids


def test_a_vocabulary_that_knows_the_texts_is_left_alone(encoder: Path, tmp_path: Path) -> None:
    rows = [Example("the team won", "a")] * 3
    source = EncoderSource(str(encoder), str(encoder), "mean")
    assert (
        make_tokenizer(source, Dataset(rows, rows, rows, ["a"], ""), settings_for(encoder), tmp_path / "t").added == 0
    )


def test_epochs_follow_rows_per_class_and_the_number_of_updates() -> None:
    assert chosen_epochs(8000, 77, 250) == 8
    assert chosen_epochs(6400, 4, 200) == 3
    assert chosen_epochs(100, 2, 4) == 20


def test_the_rate_falls_with_the_rows_of_a_class_and_with_the_width() -> None:
    assert chosen_rate(384, 8000, 77) == 3e-4
    assert chosen_rate(384, 6400, 4) == pytest.approx(1.06e-4, rel=0.01)
    assert chosen_rate(384, 10**6, 2) == 1e-4
    assert chosen_rate(768, 8000, 77) == chosen_rate(768, 10**6, 2) == 5e-5


def test_class_weights_appear_with_imbalance_and_average_to_one_over_the_rows() -> None:
    rows = [Example("t", "a")] * 30 + [Example("t", "b")] * 3
    assert class_weights("auto", rows[:25] + rows[-3:], ["a", "b"]) is None
    weights = class_weights("auto", rows, ["a", "b"])
    assert weights is not None
    assert (30 * weights[0] + 3 * weights[1]).item() == pytest.approx(33)


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        ({"name": "Bad Name"}, "name"),
        ({"name": "ok", "epochs": 0}, "epochs"),
        ({"name": "ok", "warmup_ratio": 0.9}, "warmup_ratio above 0.5"),
        ({"name": "ok", "no_such": 1}, "no_such"),
    ],
)
def test_wrong_settings_are_named(flags: dict[str, object], part: str) -> None:
    with pytest.raises(InvalidSettings, match=part):
        load_settings(None, flags, {"path": "rows.csv"})


def test_flags_win_over_the_configuration_file(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text("name: from-file\nepochs: 3\ndata:\n  path: a.csv\n", encoding="utf-8")
    loaded = load_settings(file, {"epochs": 5, "name": None}, {"path": None})
    assert (loaded.name, loaded.epochs, loaded.data.path) == ("from-file", 5, "a.csv")
