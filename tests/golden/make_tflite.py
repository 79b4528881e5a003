#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes tests/golden/tflite/*.bin: small TensorFlow Lite models with the answers of LiteRT (its default: XNNPACK) and,
of int8 ones, of TensorFlow Lite Micro, which rounds twice. Run in a venv with

    ai-edge-litert==2.3.0 tflite-micro==0.dev20261023182759 numpy==2.4.6 flatbuffers

A bundle is a protobuf message: field 1 a case of {1 name, 2 model, 3 inputs of all rows, 4 outputs of LiteRT,
5 outputs of TensorFlow Lite Micro, 6 rows}: raw elements as the model types them, a row's tensors in order.
With arguments CASE..., prints how far LiteRT and TensorFlow Lite Micro are apart there and writes nothing.
"""
import os
import sys

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as s
from ai_edge_litert.interpreter import Interpreter

HERE = os.path.dirname(os.path.abspath(__file__))
B, O = s.BuiltinOperator, s.BuiltinOptions
TYPES = {np.dtype("float32"): 0, np.dtype("float16"): 1, np.dtype("int32"): 2, np.dtype("int8"): 9}
VERSIONS = {B.CONV_2D: 3, B.DEPTHWISE_CONV_2D: 3, B.FULLY_CONNECTED: 4, B.ADD: 2, B.SUB: 2, B.MUL: 2, B.SOFTMAX: 2,
            B.AVERAGE_POOL_2D: 2, B.MAX_POOL_2D: 2, B.CONCATENATION: 2, B.PAD: 2, B.LOGISTIC: 2, B.TANH: 2, B.RELU: 2,
            B.RELU6: 2, B.MEAN: 2, B.QUANTIZE: 2, B.DEQUANTIZE: 2}
NONE, RELU, RELU_N1, RELU6 = range(4)
SAME, VALID = range(2)
ROWS = 6
# TensorFlow Lite Micro has no such operator.
NOT_MICRO = ("relu_n1_to_1_int8",)


class Net:
    """A model in the making; tensors are their indices."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.model = s.ModelT()
        self.model.version = 3
        self.model.description = "ingot golden"
        self.model.buffers = [s.BufferT()]
        self.model.operatorCodes = []
        self.graph = s.SubGraphT()
        self.graph.tensors, self.graph.operators, self.graph.inputs, self.graph.outputs = [], [], [], []
        self.model.subgraphs = [self.graph]

    def tensor(self, shape, dtype, scale=None, zero=0, data=None, dimension=0):
        t = s.TensorT()
        t.name = "t%d" % len(self.graph.tensors)
        t.shape = list(shape)
        t.type = TYPES[np.dtype(dtype)]
        t.buffer = 0
        if data is not None:
            buffer = s.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data, dtype).tobytes(), np.uint8)
            t.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if scale is not None:
            q = s.QuantizationParametersT()
            q.scale = np.atleast_1d(np.asarray(scale, np.float32))
            q.zeroPoint = np.broadcast_to(np.asarray(zero, np.int64), q.scale.shape).copy()
            q.quantizedDimension = dimension
            t.quantization = q
        self.graph.tensors.append(t)
        return len(self.graph.tensors) - 1

    def input(self, shape, i8=True, scale=0.05, zero=-3):
        t = self.tensor(shape, "int8" if i8 else "float32", scale if i8 else None, zero)
        self.graph.inputs.append(t)
        return t

    def shape(self, t):
        return list(self.graph.tensors[t].shape)

    def is_i8(self, t):
        return self.graph.tensors[t].type == 9

    def scale(self, t):
        q = self.graph.tensors[t].quantization
        return q.scale, int(q.zeroPoint[0])

    def op(self, code, inputs, shape, out, kind=0, options=None, dtype=None, version=None):
        """`out`: (scale, zero) of an int8 output, None of a float one."""
        entry = s.OperatorCodeT()
        entry.builtinCode, entry.deprecatedBuiltinCode = code, min(code, 127)
        entry.version = version or VERSIONS.get(code, 1)
        operator = s.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes)
        self.model.operatorCodes.append(entry)
        operator.inputs = [t for t in inputs if t >= 0]  # a bias that is left out stands last
        dtype = dtype or ("int8" if out else "float32")
        t = self.tensor(shape, dtype, *(out if out else (None,)))
        operator.outputs = [t]
        operator.builtinOptionsType, operator.builtinOptions = kind, options
        self.graph.operators.append(operator)
        return t

    def weights(self, shape, fan, x, channel, per_channel=True, bias=True, hybrid=False, half=False):
        """Random weights and bias for input x; channel: their dimension of outputs."""
        count = shape[channel]
        real = self.rng.normal(size=shape) / np.sqrt(fan)
        offset = self.rng.normal(size=count) / 2
        if half:
            stored = self.tensor(shape, "float16", data=real)
            w = self.op(B.DEQUANTIZE, [stored], shape, None, O.DequantizeOptions, s.DequantizeOptionsT())
            return w, self.tensor([count], "float32", data=offset)
        if not self.is_i8(x) and not hybrid:
            return (self.tensor(shape, "float32", data=real),
                    self.tensor([count], "float32", data=offset) if bias else -1)
        axes = tuple(d for d in range(len(shape)) if d != channel)
        most = np.abs(real).max(axis=axes) if per_channel else np.atleast_1d(np.abs(real).max())
        scale = (most / 127).astype(np.float32)
        wide = scale.reshape([-1 if d == channel else 1 for d in range(len(shape))]) if per_channel else scale
        w = self.tensor(shape, "int8", scale, 0, np.clip(np.round(real / wide), -127, 127), channel if per_channel else 0)
        if not bias:
            return w, -1
        if hybrid:
            return w, self.tensor([count], "float32", data=offset)
        both = self.scale(x)[0][0] * scale
        return w, self.tensor([count], "int32", both, 0, np.round(offset / both))

    def window(self, x, filter_h, filter_w, stride, dilation, padding):
        h, w = self.shape(x)[1:3]
        fh, fw = (filter_h - 1) * dilation[0] + 1, (filter_w - 1) * dilation[1] + 1
        if padding == SAME:
            return [-(-h // stride[0]), -(-w // stride[1])]
        return [(h - fh) // stride[0] + 1, (w - fw) // stride[1] + 1]

    def conv(self, x, outputs, size=(3, 3), stride=(1, 1), dilation=(1, 1), padding=SAME, act=NONE, out=(0.04, 5), **kw):
        n, _, _, c = self.shape(x)
        w, b = self.weights([outputs, *size, c], size[0] * size[1] * c, x, 0, **kw)
        o = s.Conv2DOptionsT()
        o.padding, o.strideH, o.strideW, o.fusedActivationFunction = padding, *stride, act
        o.dilationHFactor, o.dilationWFactor = dilation
        shape = [n, *self.window(x, *size, stride, dilation, padding), outputs]
        return self.op(B.CONV_2D, [x, w, b], shape, out if self.is_i8(x) else None, O.Conv2DOptions, o)

    def depthwise(self, x, each=1, size=(3, 3), stride=(1, 1), dilation=(1, 1), padding=SAME, act=NONE, out=(0.04, -7), **kw):
        n, _, _, c = self.shape(x)
        w, b = self.weights([1, *size, c * each], size[0] * size[1], x, 3, **kw)
        o = s.DepthwiseConv2DOptionsT()
        o.padding, o.strideH, o.strideW, o.fusedActivationFunction = padding, *stride, act
        o.dilationHFactor, o.dilationWFactor, o.depthMultiplier = *dilation, each
        shape = [n, *self.window(x, *size, stride, dilation, padding), c * each]
        return self.op(B.DEPTHWISE_CONV_2D, [x, w, b], shape, out if self.is_i8(x) else None, O.DepthwiseConv2DOptions, o)

    def fc(self, x, outputs, act=NONE, keep=False, out=(0.06, 9), per_channel=False, version=None, **kw):
        shape = self.shape(x)
        depth = shape[-1]
        w, b = self.weights([outputs, depth], depth, x, 0, per_channel=per_channel, **kw)
        o = s.FullyConnectedOptionsT()
        o.fusedActivationFunction, o.keepNumDims = act, keep
        after = shape[:-1] + [outputs] if keep else [int(np.prod(shape)) // depth, outputs]
        return self.op(B.FULLY_CONNECTED, [x, w, b], after, out if self.is_i8(x) else None, O.FullyConnectedOptions, o,
                       version=version)

    def like(self, x):
        return (self.scale(x)[0], self.scale(x)[1]) if self.is_i8(x) else None

    def pool(self, x, code, size, stride, padding=VALID, act=NONE):
        n, _, _, c = self.shape(x)
        o = s.Pool2DOptionsT()
        o.padding, o.strideH, o.strideW, o.filterHeight, o.filterWidth = padding, *stride, *size
        o.fusedActivationFunction = act
        return self.op(code, [x], [n, *self.window(x, *size, stride, (1, 1), padding), c], self.like(x), O.Pool2DOptions, o)

    def reshape(self, x, shape):
        o = s.ReshapeOptionsT()
        o.newShape = shape
        target = self.tensor([len(shape)], "int32", data=shape)
        return self.op(B.RESHAPE, [x, target], shape, self.like(x), O.ReshapeOptions, o)

    def squeeze(self, x, dims):
        o = s.SqueezeOptionsT()
        o.squeezeDims = dims
        shape = [n for d, n in enumerate(self.shape(x)) if d not in dims]
        return self.op(B.SQUEEZE, [x], shape, self.like(x), O.SqueezeOptions, o)

    def expand_dims(self, x, axis):
        shape = self.shape(x)
        a = self.tensor([1], "int32", data=[axis])
        return self.op(B.EXPAND_DIMS, [x, a], shape[:axis] + [1] + shape[axis:], self.like(x), O.ExpandDimsOptions,
                       s.ExpandDimsOptionsT())

    def pad(self, x, pads):
        shape = [d + a + b for d, (a, b) in zip(self.shape(x), pads)]
        p = self.tensor([len(pads), 2], "int32", data=pads)
        return self.op(B.PAD, [x, p], shape, self.like(x), O.PadOptions, s.PadOptionsT())

    def arithmetic(self, code, a, b, act=NONE, out=(0.07, 4)):
        kind, make = {B.ADD: (O.AddOptions, s.AddOptionsT), B.SUB: (O.SubOptions, s.SubOptionsT),
                      B.MUL: (O.MulOptions, s.MulOptionsT)}[code]
        o = make()
        o.fusedActivationFunction = act
        if code == B.ADD:
            o.potScaleInt16 = False
        shape = list(np.broadcast_shapes(tuple(self.shape(a)), tuple(self.shape(b))))
        return self.op(code, [a, b], shape, out if self.is_i8(a) else None, kind, o)

    def concatenation(self, inputs, axis):
        shape = self.shape(inputs[0])
        shape[axis] = sum(self.shape(t)[axis] for t in inputs)
        o = s.ConcatenationOptionsT()
        o.axis = axis
        return self.op(B.CONCATENATION, inputs, shape, self.like(inputs[0]), O.ConcatenationOptions, o)

    def softmax(self, x, beta=1.0):
        o = s.SoftmaxOptionsT()
        o.beta = beta
        return self.op(B.SOFTMAX, [x], self.shape(x), (1 / 256, -128) if self.is_i8(x) else None, O.SoftmaxOptions, o)

    def unary(self, code, x, out=(0.03, -20)):
        out = {B.LOGISTIC: (1 / 256, -128), B.TANH: (1 / 128, 0)}.get(code, out) if self.is_i8(x) else None
        return self.op(code, [x], self.shape(x), out)

    def mean(self, x, axes, keep, out=(0.03, 2)):
        o = s.ReducerOptionsT()
        o.keepDims = keep
        shape = [1 if d in axes else n for d, n in enumerate(self.shape(x)) if keep or d not in axes]
        a = self.tensor([len(axes)], "int32", data=axes)
        return self.op(B.MEAN, [x, a], shape, out if self.is_i8(x) else None, O.ReducerOptions, o)

    def quantize(self, x, out=(0.05, -3)):
        return self.op(B.QUANTIZE, [x], self.shape(x), out, O.QuantizeOptions, s.QuantizeOptionsT())

    def dequantize(self, x):
        return self.op(B.DEQUANTIZE, [x], self.shape(x), None, O.DequantizeOptions, s.DequantizeOptionsT())

    def constant(self, shape, i8, scale=0.04, zero=6):
        if not i8:
            return self.tensor(shape, "float32", data=self.rng.normal(size=shape))
        return self.tensor(shape, "int8", scale, zero, self.rng.integers(-128, 128, shape))

    def bytes(self, *outputs):
        self.graph.outputs = list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())


def cases():
    """name -> (model bytes); every operator in int8 and float, alone, and small networks."""
    made = {}

    def case(name, build, *shapes, **kw):
        for i8 in (True, False):
            net = Net(len(made) + 1)
            inputs = [net.input(shape, i8, **kw) for shape in shapes]
            outputs = build(net, *inputs)
            made[name + ("_int8" if i8 else "_float")] = net.bytes(*(outputs if isinstance(outputs, tuple) else (outputs,)))

    case("conv", lambda n, x: n.conv(x, 5), [1, 6, 7, 3])
    case("conv_valid_strided", lambda n, x: n.conv(x, 17, (3, 2), (2, 1), padding=VALID, act=RELU), [1, 9, 6, 2])
    case("conv_dilated", lambda n, x: n.conv(x, 4, (3, 3), dilation=(2, 3), act=RELU6, out=(0.03, -50)), [1, 9, 10, 3])
    case("conv_pointwise", lambda n, x: n.conv(x, 33, (1, 1), act=RELU_N1, out=(0.02, 0)), [1, 3, 5, 19])
    case("conv_wide_filter", lambda n, x: n.conv(x, 3, (10, 4), (2, 2)), [1, 12, 5, 1])
    case("conv_per_tensor", lambda n, x: n.conv(x, 6, (2, 2), per_channel=False), [1, 4, 4, 2])
    case("depthwise", lambda n, x: n.depthwise(x), [1, 5, 6, 5])
    case("depthwise_wide", lambda n, x: n.depthwise(x, size=(3, 1), padding=VALID, act=RELU, out=(0.05, -128)), [1, 7, 3, 37])
    case("depthwise_spread", lambda n, x: n.depthwise(x, each=3, stride=(2, 2), act=RELU6, out=(0.03, -60)), [1, 5, 5, 4])
    case("depthwise_dilated", lambda n, x: n.depthwise(x, dilation=(2, 2), out=(0.05, 3)), [1, 8, 7, 4])
    case("fully_connected", lambda n, x: n.fc(x, 11), [1, 23])
    case("fully_connected_relu", lambda n, x: n.fc(x, 40, act=RELU, out=(0.03, -128), bias=False), [1, 16])
    case("fully_connected_batch", lambda n, x: n.fc(x, 3), [5, 7])
    case("fully_connected_keep", lambda n, x: n.fc(x, 6, keep=True, version=5), [1, 3, 4, 5])
    case("average_pool", lambda n, x: n.pool(x, B.AVERAGE_POOL_2D, (3, 2), (2, 1), SAME), [1, 6, 5, 3])
    case("average_pool_relu", lambda n, x: n.pool(x, B.AVERAGE_POOL_2D, (2, 2), (2, 2), act=RELU), [1, 6, 6, 2])
    case("max_pool", lambda n, x: n.pool(x, B.MAX_POOL_2D, (3, 2), (1, 2), SAME, RELU6), [1, 6, 5, 3])
    case("reshape", lambda n, x: n.fc(n.reshape(x, [1, 12]), 4), [1, 2, 3, 2])
    case("pad", lambda n, x: n.pad(x, [(0, 0), (1, 2), (0, 1), (2, 0)]), [1, 3, 2, 2])
    case("add", lambda n, x, y: n.arithmetic(B.ADD, x, y), [1, 4, 3, 2], [1, 4, 3, 2])
    case("add_constant", lambda n, x: n.arithmetic(B.ADD, x, n.constant([5], n.is_i8(x)), RELU), [1, 3, 5])
    case("sub", lambda n, x, y: n.arithmetic(B.SUB, x, y, RELU6), [1, 4, 6], [1, 4, 6])
    case("sub_broadcast", lambda n, x: n.arithmetic(B.SUB, x, n.constant([3, 1], n.is_i8(x))), [1, 3, 5])
    case("mul", lambda n, x, y: n.arithmetic(B.MUL, x, y, out=(0.3, 2)), [1, 5, 7], [1, 5, 7])
    case("mul_broadcast", lambda n, x: n.arithmetic(B.MUL, n.constant([1, 4, 1, 3], n.is_i8(x)), x, RELU, (0.2, -90)),
         [1, 4, 2, 3])
    case("concatenation", lambda n, x, y: n.concatenation([x, y, x], 2), [1, 2, 3, 2], [1, 2, 1, 2])
    case("softmax", lambda n, x: n.softmax(x), [1, 12])
    case("softmax_rows", lambda n, x: n.softmax(x, 0.5), [3, 5], scale=0.2, zero=10)
    case("softmax_sharp", lambda n, x: n.softmax(x), [1, 40], scale=0.6, zero=0)
    case("logistic", lambda n, x: n.unary(B.LOGISTIC, x), [1, 64])
    case("tanh", lambda n, x: n.unary(B.TANH, x), [1, 64], scale=0.03, zero=11)
    case("relu", lambda n, x: n.unary(B.RELU, x), [1, 40])
    case("relu6", lambda n, x: n.unary(B.RELU6, x, (0.05, -3)), [1, 40])
    case("relu_n1_to_1", lambda n, x: n.unary(B.RELU_N1_TO_1, x, (0.02, 5)), [1, 40])
    case("squeeze", lambda n, x: n.squeeze(x, [1]), [2, 1, 3])
    case("expand_dims", lambda n, x: n.expand_dims(x, 1), [2, 3])
    case("mean", lambda n, x: n.mean(x, [1, 2], False), [1, 5, 4, 3])
    case("mean_keep", lambda n, x: n.mean(x, [1, 2], True, (0.05, -3)), [1, 3, 3, 5])
    case("two_heads", lambda n, x: (lambda h: (n.fc(h, 3), n.unary(B.LOGISTIC, n.fc(h, 1))))(n.fc(x, 9, act=RELU, out=(0.02, -128))),
         [1, 10])

    def small_cnn(n, x):
        h = n.conv(x, 8, (3, 3), (2, 2), act=RELU, out=(0.02, -128))
        a = n.conv(n.depthwise(h, act=RELU, out=(0.02, -128)), 8, (1, 1), out=(0.02, 0))
        h = n.arithmetic(B.ADD, h, a, RELU, (0.03, -128))
        h = n.pool(h, B.AVERAGE_POOL_2D, tuple(n.shape(h)[1:3]), (1, 1))
        return n.softmax(n.fc(n.reshape(h, [1, 8]), 4, out=(0.1, 20)))

    case("cnn", small_cnn, [1, 12, 10, 2])

    def mixed(name, build, shape, i8=False):
        net = Net(len(made) + 1)
        made[name] = net.bytes(build(net, net.input(shape, i8)))

    mixed("quantize", lambda n, x: n.quantize(x, (0.02, 7)), [1, 50])
    mixed("requantize", lambda n, x: n.quantize(x, (0.08, -30)), [1, 50], True)
    mixed("dequantize", lambda n, x: n.dequantize(x), [1, 50], True)
    mixed("float_border", lambda n, x: n.dequantize(n.fc(n.quantize(x), 6)), [1, 20])
    mixed("half_weights", lambda n, x: n.fc(n.fc(x, 9, act=RELU, half=True), 3, half=True), [1, 14])
    return made


def answers(model, rng, micro_too):
    """Inputs, LiteRT's outputs and, where all are int8, TensorFlow Lite Micro's, as bytes."""
    lite = Interpreter(model_content=model)
    lite.allocate_tensors()
    ins, outs = lite.get_input_details(), lite.get_output_details()
    int8 = micro_too and all(d["dtype"] == np.int8 for d in ins + outs)
    if int8:
        from tflite_micro import runtime
        micro = runtime.Interpreter.from_bytes(model)
    given, ours, theirs = b"", [], []
    for row in range(ROWS):
        for k, d in enumerate(ins):
            if d["dtype"] == np.int8:
                x = rng.integers(-128, 128, d["shape"]).astype(np.int8)
                if row == 0:
                    x = np.arange(x.size).reshape(x.shape).astype(np.int8)
            else:
                x = (rng.normal(size=d["shape"]) * 2).astype(np.float32)
            given += x.tobytes()
            lite.set_tensor(d["index"], x)
            if int8:
                micro.set_input(x, k)
        lite.invoke()
        ours += [lite.get_tensor(d["index"]) for d in outs]
        if int8:
            micro.invoke()
            theirs += [micro.get_output(k) for k in range(len(outs))]
    return given, ours, theirs


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def field(number, data):
    return varint(number << 3 | 2) + varint(len(data)) + data


def main():
    chosen = sys.argv[1:]
    body = b""
    for name, model in cases().items():
        if chosen and name not in chosen:
            continue
        given, ours, theirs = answers(model, np.random.default_rng(len(name)), name not in NOT_MICRO)
        if chosen:
            apart = [int(np.abs(a.astype(int) - b.astype(int)).max()) for a, b in zip(ours, theirs)]
            print(name, max(apart, default="float"))
        body += field(1, field(1, name.encode()) + field(2, model) + field(3, given) +
                      field(4, b"".join(a.tobytes() for a in ours)) + field(5, b"".join(a.tobytes() for a in theirs)) +
                      varint(6 << 3) + varint(ROWS))
    if chosen:
        return
    os.makedirs(os.path.join(HERE, "tflite"), exist_ok=True)
    with open(os.path.join(HERE, "tflite", "small.bin"), "wb") as file:
        file.write(body)
    print(len(cases()), "cases,", len(body), "bytes")


if __name__ == "__main__":
    main()
