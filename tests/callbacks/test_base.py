import pytest

from tests.callbacks.model import Model, run
from tinymed import callbacks
from tinymed.callbacks.base import HOOKS


class Recorder(callbacks.Callback):
    def __init__(self):
        self.calls = []

    def __getattribute__(self, name):
        if name in HOOKS:
            return lambda *arguments: self.calls.append((name, *arguments))
        return super().__getattribute__(name)


def test_every_hook_reaches_every_callback():
    first, second = Recorder(), Recorder()
    hooks = callbacks.CallbackList([first, second])
    for hook in HOOKS:
        places = (3,) if "batch" in hook or "epoch" in hook else ()
        getattr(hooks, hook)(*places, {"loss": 1.0})
        assert first.calls[-1] == second.calls[-1] == (hook, *places, {"loss": 1.0})


def test_a_bare_callback_listens_to_nothing_and_its_hooks_do_nothing():
    bare = callbacks.Callback()
    for hook in HOOKS:
        getattr(bare, hook)(*((0,) if "batch" in hook or "epoch" in hook else ()))
    assert not any(callbacks.CallbackList(bare, add_history=False)._listeners.values())


def test_logs_of_a_batch_are_read_only_for_those_who_look_and_once():
    reads = []

    def logs():
        reads.append(1)
        return {"loss": 1.0}

    hooks = callbacks.CallbackList([callbacks.EarlyStopping(), callbacks.CSVLogger("unused.csv")])
    hooks.on_train_batch_end(0, logs)
    assert not reads
    seen = []

    class Old(callbacks.Callback):
        def on_batch_end(self, batch, logs=None):
            seen.append((batch, logs["loss"]))

    looking = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append((batch, logs["loss"])))
    callbacks.CallbackList([Old(), looking]).on_train_batch_end(2, logs)
    assert seen == [(2, 1.0), (2, 1.0)]
    assert len(reads) == 1


def test_model_and_parameters():
    inner = callbacks.Callback()
    model = Model()
    callbacks.CallbackList(inner, model=model, epochs=3, steps=5, verbose=1)
    assert inner.model is model
    assert inner.params == {"epochs": 3, "steps": 5, "verbose": 1}
    assert callbacks.Callback.params == {}


def test_the_history_is_added_last_and_becomes_the_models_when_training_begins():
    model = Model()
    hooks = callbacks.CallbackList(None, model=model)
    assert not hasattr(model, "history")
    hooks.on_train_begin()
    assert model.history is hooks.history
    own = callbacks.History()
    assert callbacks.CallbackList([own]).history is own
    assert callbacks.CallbackList(None, add_history=False).history is None


def test_lists_of_callbacks_are_taken_apart():
    inner = callbacks.Callback()
    nested = callbacks.CallbackList([inner], add_history=False)
    assert callbacks.CallbackList([nested], add_history=False).callbacks == [inner]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([callbacks.EarlyStopping], r"write EarlyStopping\(\) instead of EarlyStopping"),
        ([print], "got builtin_function_or_method"),
    ],
)
def test_what_is_no_callback(given, message):
    with pytest.raises(TypeError, match=message):
        callbacks.CallbackList(given)


def test_lambda_callback():
    seen = []
    made = callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: seen.append(("begin", epoch)),
        on_train_end=lambda logs: seen.append("end"),
        on_test_begin=lambda logs: seen.append("test"),
    )
    run(made, [1.0, 2.0])
    made.on_test_begin({})
    made.on_epoch_end(0, {})
    assert seen == [("begin", 0), ("begin", 1), "end", "test"]
    with pytest.raises(TypeError, match="no hook 'on_epoch_ends'; did you mean 'on_epoch_end'"):
        callbacks.LambdaCallback(on_epoch_ends=print)
    with pytest.raises(TypeError, match="needs a function for on_epoch_end, got 3"):
        callbacks.LambdaCallback(on_epoch_end=3)
