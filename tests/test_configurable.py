"""Objects that know their arguments, and names that find objects."""

import pytest

from tinymed.configurable import Configurable, check_arguments, resolve, serialize


class Base(Configurable):
    def __init__(self, name="base"):
        self.name = name


class Child(Base):
    def __init__(self, size, helper=None, **kwargs):
        super().__init__(**kwargs)
        self.size, self.helper = size, helper


def test_config_round_trip_with_nested_objects():
    child = Child(3, helper=Base("inner"), name="outer")
    config = child.get_config()
    assert config == {"size": 3, "helper": {"class_name": "Base", "config": {"name": "inner"}}, "name": "outer"}
    copy = Child.from_config(config)
    assert (copy.size, copy.name) == (3, "outer")


def test_serialize_plain_values():
    assert serialize((1, [2.5, None])) == [1, [2.5, None]]
    assert serialize({"a": Base("x")}) == {"a": {"class_name": "Base", "config": {"name": "x"}}}
    assert serialize(test_serialize_plain_values) == "test_serialize_plain_values"


def test_resolve_everything_that_may_be_given():
    choices = {"base": Base, "Base": Base, "child": Child}
    assert isinstance(resolve("base", choices, "thing"), Base)
    assert isinstance(resolve("BASE", choices, "thing"), Base)
    assert isinstance(resolve(Base, choices, "thing"), Base)
    assert resolve({"class_name": "child", "config": {"size": 2}}, choices, "thing").size == 2
    ready = Base()
    assert resolve(ready, choices, "thing") is ready
    with pytest.raises(ValueError, match=r"unknown thing 'chld'; did you mean 'child'"):
        resolve("chld", choices, "thing")
    with pytest.raises(ValueError, match=r"choose one of Base, base, child"):
        resolve("zzzzzz", choices, "thing")


def test_unknown_arguments_get_the_nearest_name():
    check_arguments("Dense", {}, ["units"])
    with pytest.raises(TypeError, match=r"Dense takes no argument 'unit'; did you mean 'units'"):
        check_arguments("Dense", {"unit": 1}, ["units"])
    with pytest.raises(TypeError, match=r"takes no argument 'zzz'$"):
        check_arguments("Dense", {"zzz": 1}, ["units"])
