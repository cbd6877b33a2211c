"""What can be told about training while it runs, and act on it."""

from tinymed.callbacks.base import Callback, CallbackList, LambdaCallback
from tinymed.callbacks.checkpoint import ModelCheckpoint
from tinymed.callbacks.history import CSVLogger, History, TerminateOnNaN
from tinymed.callbacks.monitor import EarlyStopping, MonitorCallback
from tinymed.callbacks.rates import LearningRateScheduler, ReduceLROnPlateau

__all__ = [
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "ModelCheckpoint",
    "MonitorCallback",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
]
