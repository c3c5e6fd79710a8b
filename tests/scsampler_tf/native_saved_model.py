"""A SavedModel by TensorFlow's C interface: the loader and the session that tensorflow_model_server has.

No Python of TensorFlow's takes part in loading and running; ctypes calls the library itself.
"""

import ctypes as c
from pathlib import Path

import numpy as np
import tensorflow as tf

LIBRARY = Path(tf.__file__).parent / "libtensorflow_cc.so.2"
STRING_BYTES = 24  # sizeof(TF_TString)


class Output(c.Structure):
    """TF_Output: an operation of the graph and which of its outputs."""

    _fields_ = (("operation", c.c_void_p), ("index", c.c_int))


_RESULTS = {
    "TF_NewGraph": c.c_void_p,
    "TF_NewStatus": c.c_void_p,
    "TF_NewSessionOptions": c.c_void_p,
    "TF_LoadSessionFromSavedModel": c.c_void_p,
    "TF_GraphOperationByName": c.c_void_p,
    "TF_AllocateTensor": c.c_void_p,
    "TF_TensorData": c.c_void_p,
    "TF_StringGetDataPointer": c.c_void_p,
    "TF_StringGetSize": c.c_size_t,
    "TF_Dim": c.c_int64,
    "TF_Message": c.c_char_p,
}


class NativeModel:
    """A version folder, loaded; `run` answers one signature. Raises `ValueError` with TensorFlow's words."""

    def __init__(self, folder: Path):
        self._tf = c.CDLL(str(LIBRARY))
        for name, kind in _RESULTS.items():
            getattr(self._tf, name).restype = kind
        self._status = c.c_void_p(self._tf.TF_NewStatus())
        self._graph = c.c_void_p(self._tf.TF_NewGraph())
        options, tags = c.c_void_p(self._tf.TF_NewSessionOptions()), (c.c_char_p * 1)(b"serve")
        path = str(folder).encode()
        session = self._tf.TF_LoadSessionFromSavedModel(
            options, None, path, tags, 1, self._graph, None, self._status
        )
        self._check()
        self._session = c.c_void_p(session)

    def run(self, signature, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs of a `SignatureDef` for its inputs."""
        fed = [signature.inputs[name] for name in inputs]
        names = list(signature.outputs)
        wanted = [signature.outputs[name] for name in names]
        values = (c.c_void_p * len(fed))(*map(self._tensor, inputs.values()))
        found = (c.c_void_p * len(wanted))()
        self._tf.TF_SessionRun(
            *(self._session, None, self._places(fed), values, len(fed), self._places(wanted), found),
            *(len(wanted), None, 0, None, self._status),
        )
        self._check()
        return {name: self._array(c.c_void_p(each)) for name, each in zip(names, found, strict=True)}

    def _places(self, infos):
        places = (Output * len(infos))()
        for place, info in zip(places, infos, strict=True):
            name, index = info.name.split(":")
            place.operation = self._tf.TF_GraphOperationByName(self._graph, name.encode())
            place.index = int(index)
            assert place.operation, info.name
        return places

    def _tensor(self, array) -> int:
        array = np.ascontiguousarray(array)
        kind = tf.string if array.dtype.kind in "OS" else tf.dtypes.as_dtype(array.dtype)
        size = array.size * STRING_BYTES if kind == tf.string else array.nbytes
        dims = (c.c_int64 * array.ndim)(*array.shape)
        tensor = self._tf.TF_AllocateTensor(kind.as_datatype_enum, dims, array.ndim, c.c_size_t(size))
        data = self._tf.TF_TensorData(c.c_void_p(tensor))
        if kind != tf.string:
            c.memmove(data, array.ctypes.data, size)
            return tensor
        for number, text in enumerate(array.ravel().tolist()):
            place = c.c_void_p(data + number * STRING_BYTES)
            self._tf.TF_StringInit(place)
            self._tf.TF_StringCopy(place, text, c.c_size_t(len(text)))
        return tensor

    def _array(self, tensor) -> np.ndarray:
        shape = [self._tf.TF_Dim(tensor, axis) for axis in range(self._tf.TF_NumDims(tensor))]
        kind = tf.dtypes.as_dtype(self._tf.TF_TensorType(tensor))
        data = self._tf.TF_TensorData(tensor)
        if kind != tf.string:
            array = np.empty(shape, kind.as_numpy_dtype)
            c.memmove(array.ctypes.data, data, array.nbytes)
            return array
        places = [c.c_void_p(data + number * STRING_BYTES) for number in range(int(np.prod(shape)))]
        texts = [
            c.string_at(self._tf.TF_StringGetDataPointer(place), self._tf.TF_StringGetSize(place))
            for place in places
        ]
        array = np.empty(len(texts), object)
        array[:] = texts
        return array.reshape(shape)

    def _check(self) -> None:
        if self._tf.TF_GetCode(self._status):
            raise ValueError(self._tf.TF_Message(self._status).decode())
