#!/usr/bin/env python3
"""Runs int8 networks on emulated processors, by the device runtime and as exported C files, beside `ingot edge run`.

    network_device.py            Cortex-M4; with INGOT_LONG=1 Cortex-M3, arm and aarch64 too: every byte of the outputs
    network_device.py --bench    bytes, RAM, code and instructions on Cortex-M3 and M4; more with FILE.tflite

The networks are the MLPerf Tiny ones of the shared folder (INGOT_SHARED_DIR, or ../shared), and where that is absent
small ones of tests/corpus/edge; and one of there behind an encoder, which takes rows of a table. Ends with 77, which ctest reports as skipped, when a compiler or emulator is absent.
"""
import glob
import json
import math
import os
import random
import struct
import sys
import tempfile

from device import FLAGS, GCC, HERE, INGOT, ROOT, TARGETS, TICK, emulate, need, run

EDGE = os.path.join(ROOT, "apps/edge")
SOURCES = [os.path.join(EDGE, f"ingot_edge{part}.c") for part in ("", "_encoder", "_network", "_network_run")]
KERNELS = sorted(path for path in glob.glob(os.path.join(EDGE, "ingot_edge_nn_*.c")) if not path.endswith("_test.c"))
SHARED = os.path.join(os.environ.get("INGOT_SHARED_DIR", os.path.join(ROOT, "../shared")), "models/tflite")
TARGETS["neon"] = ([GCC, "-mcpu=cortex-a7", "-mfpu=neon", "-mfloat-abi=hard", "-marm", "-nostdlib"], "platform_linux.c",
                   ["qemu-arm"])
ALL = ("cortex-m4", "cortex-m3", "arm", "neon", "aarch64")
BRIEF = ("cortex-m4",)
ENCODED = os.path.join(ROOT, "tests/corpus/edge/encoded_0.ige")
NAMES = ("kws_int8", "ad01_int8", "vww_96_int8", "streaming_wakeword_int8")
# TensorFlow Lite Micro: with CMSIS-NN on Cortex-M4, with its reference kernels on M3; millions of instructions.
OTHERS = {"cortex-m4": {"kws": 7.73, "vww": 25.87, "pretrainedResnet": 30.06, "ad01": 0.624},
          "cortex-m3": {"kws": 42.05, "vww": 100.6, "pretrainedResnet": 105.9, "ad01": 1.99}}


class Network:
    """One network's compact file, C source and rows of bytes, and the outputs that `ingot edge run` gives."""

    def __init__(self, folder, number, path, rounding, rows_count):
        self.number, self.path, self.rounding = number, path, rounding
        self.file, self.source = os.path.join(folder, f"n{number}.ige"), os.path.join(folder, f"n{number}.c")
        chosen = () if path.endswith(".ige") else ("--rounding", rounding)  # a compact file has its own
        run(INGOT, "edge", "convert", path, *chosen, "--output", self.file)
        run(INGOT, "edge", "export", path, "--rounding", rounding, "--output", self.source, "--name", f"n{number}")
        self.facts = json.loads(run(INGOT, "edge", "inspect", self.file, "--format", "json"))
        with open(self.file, "rb") as data:
            self.bytes = data.read()
        entry, answer = self.facts["inputs"][0], self.facts["outputs"][0]
        noise = random.Random(number)
        self.encoded = "encoded_inputs" in self.facts
        plain = os.path.join(folder, f"rows{number}.csv")
        if self.encoded:
            self.rows = [[f32(noise.choice((math.nan, noise.randrange(-1, 5), noise.uniform(-6, 12))))
                          for _ in range(entry["count"])] for _ in range(50 * rows_count)]
            cells = self.rows
        else:
            self.rows = [[noise.randrange(-128, 128) for _ in range(entry["count"])] for _ in range(rows_count)]
            cells = [[(q - entry["zero_point"]) * entry["scale"] for q in row] for row in self.rows]
        with open(plain, "w", encoding="utf-8") as out:
            out.writelines(",".join(map(repr, row)) + "\n" for row in cells)
        lines = run(INGOT, "edge", "run", "--model", self.file, "--input", plain, "--no-header").splitlines()
        self.outputs = [[round(float(cell) / answer["scale"]) + answer["zero_point"] for cell in line.split(",")]
                        for line in lines]

    @property
    def name(self):
        return os.path.splitext(os.path.basename(self.path))[0]


def is_int8(path):
    facts = json.loads(run(INGOT, "edge", "inspect", path, "--format", "json"))
    ends = facts.get("inputs", []) + facts.get("outputs", [])
    return len(ends) == 2 and all(end["type"] == "int8" for end in ends)


def paths():
    shared = [os.path.join(SHARED, name + ".tflite") for name in NAMES]
    if all(os.path.exists(path) for path in shared):
        return shared
    small = sorted(glob.glob(os.path.join(ROOT, "tests/corpus/edge/network_*.ige")))
    return [path for path in small if is_int8(path)]


def f32(number):
    return struct.unpack("<f", struct.pack("<f", number))[0]


def inputs_of(network):
    """The rows as the runtime takes them, floats as their bits."""
    values = [x for row in network.rows for x in row]
    name = f"inputs{network.number}"
    if not network.encoded:
        return numbers("int8_t", name, values)
    return numbers("uint32_t", name, struct.unpack(f"<{len(values)}I", struct.pack(f"<{len(values)}f", *values)))


def numbers(kind, name, values):
    return f"static const {kind} {name}[] = {{{','.join(map(str, values))}}};"


def write_data(folder, networks):
    out, table = ['#include "network_firmware.h"'], []
    for network in networks:
        n = network.number
        kind = "float" if network.encoded else "int8_t"
        out.append(f"void n{n}_invoke(const {kind} *in, int8_t *out);")
        out.append(f"static void run{n}(const void *in, int8_t *out) {{ n{n}_invoke(in, out); }}")
        out.append(numbers("uint8_t", f"bytes{n}", network.bytes))
        out.append(inputs_of(network))
        out.append(numbers("int8_t", f"outputs{n}", (x for row in network.outputs for x in row)))
        table.append(f"{{bytes{n}, sizeof bytes{n}, inputs{n}, outputs{n}, {len(network.rows)}, run{n}}}")
    arena = max(network.facts["arena_bytes"] for network in networks) + 64
    wide = max(network.facts["outputs"][0]["count"] for network in networks)
    out.append(f"const struct firmware_network firmware_networks[] = {{{','.join(table)}}};")
    out.append(f"const uint32_t firmware_networks_count = {len(networks)}, firmware_arena_bytes = {arena};")
    out.append(f"__attribute__((aligned(8))) uint8_t firmware_arena[{arena}];\nint8_t firmware_output[{wide}];")
    path = os.path.join(folder, "data.c")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")
    return path


def build(folder, target, networks, data):
    compiler, platform, _ = TARGETS[target]
    program = os.path.join(folder, target + ".elf")
    mask = 0
    for network in networks:
        mask |= network.facts["operators_mask"]
    flags = FLAGS + ["-DIGE_NO_TREES", f"-DIGE_OPS={mask:#x}"]
    own = [os.path.join(HERE, "network_firmware.c"), os.path.join(HERE, platform), data]
    libraries = ["-lgcc"] if compiler[0] == GCC else []
    run(*compiler, *flags, *SOURCES, *KERNELS, *own, *[n.source for n in networks], *libraries, "-o", program)
    return program


def check(target, networks, text):
    lines = text.splitlines()
    if not lines or lines[-1] != "end":
        sys.exit(f"{target} did not come to its end: {text[-300:]}")
    answers = []
    for network, line in zip(networks, lines):
        words = line.split()
        facts = {words[i]: int(words[i + 1], 16) for i in range(0, len(words), 2)}
        where = f"{target}: {network.name}, {network.rounding} rounding"
        if facts["status"]:
            sys.exit(f"{where}: the runtime says {facts['status']}")
        for what in ("wrong", "exported", "spilt"):
            if facts[what]:
                sys.exit(f"{where}: {what}: {facts[what]} bytes")
        if facts["arena"] != network.facts["arena_bytes"]:
            sys.exit(f"{where}: arena of {facts['arena']}, foretold {network.facts['arena_bytes']}")
        answers.append(facts)
    return answers


def code_bytes(folder, compiler, network, flags):
    """Of the runtime that a network needs: all that is linked but data, the program around it and an empty one."""
    sizes = []
    for name, body in (("with", "ige_load(&m, b, n); ige_allocate_tensors(&i, &m, b, n); ige_invoke(&i); return ige_class(&i);"),
                       ("empty", "return (int)n;")):
        path, program = os.path.join(folder, name + ".c"), os.path.join(folder, name + ".elf")
        with open(path, "w", encoding="utf-8") as file:
            file.write('#include "ingot_edge.h"\nint run(void *b, uint32_t n);\nvoid reset(void);\n'
                       "static struct ige_model m; static struct ige_interpreter i;\n"
                       f"int run(void *b, uint32_t n) {{ (void)b; (void)m; (void)i; {body} }}\n"
                       "void reset(void) { run((void *)0x20000000, 9); }\n")
        run(*compiler, *[f for f in FLAGS if f not in ("-O2", "-Werror")], *flags, "-w", "-DIGE_NO_TREES",
            f"-DIGE_OPS={network.facts['operators_mask']:#x}", *SOURCES, *KERNELS, path, "-lgcc", "-o", program)
        sizes.append(int(run("arm-none-eabi-size", program).splitlines()[1].split()[0]))
    return sizes[0] - sizes[1]


def bench(folder, networks):
    for target in ("cortex-m4", "cortex-m3"):
        answers = []
        for network in networks:  # one after the other: vww's images are large
            network_folder = os.path.join(folder, f"{target}{network.number}")
            os.mkdir(network_folder)
            data = write_data(network_folder, [network])
            answers += check(target, [network], emulate(target, build(network_folder, target, [network], data)))
        for network, facts in zip(networks, answers):
            rows = len(network.rows)
            code = [code_bytes(folder, TARGETS[target][0], network, [flag, "-DIGE_NO_FLOAT", "-DIGE_NN_ROUNDINGS=1"]) for flag in ("-Os", "-O2")]
            line = f"{target} {network.name} {network.rounding}: {len(network.bytes)} bytes, RAM {facts['arena']} + " \
                   f"{facts['structs']}, code {code[0]} (-Os) {code[1]} (-O2)"
            for what in ("ticks", "ticks_exported"):
                millions = facts[what] * TICK / rows / 1e6
                line += f", {'C file' if what != 'ticks' else 'runtime'} {millions:.3f} M instructions"
                other = next((x for name, x in OTHERS[target].items() if network.name.startswith(name)), None)
                if other:
                    line += f" ({millions / other:.2f})"
            print(line, flush=True)


def main():
    benching = sys.argv[1:2] == ["--bench"]
    more = sys.argv[2:] if benching else []
    targets = ALL if os.environ.get("INGOT_LONG") else BRIEF
    need(GCC, "qemu-system-arm", *([] if targets == BRIEF else ["qemu-arm", "qemu-aarch64", "clang", "ld.lld"]))
    with tempfile.TemporaryDirectory() as folder:
        if benching:
            bench(folder, [Network(folder, i, path, "single", 1) for i, path in enumerate(paths() + more)])
            return
        roundings = ("single", "double") if os.environ.get("INGOT_LONG") else ("single",)
        chosen = (paths() if os.environ.get("INGOT_LONG") else paths()[:1]) + [ENCODED]
        networks = [Network(folder, 2 * i + k, path, rounding, 2)
                    for i, path in enumerate(chosen) for k, rounding in enumerate(roundings)]
        data = write_data(folder, networks)
        for target in targets:
            check(target, networks, emulate(target, build(folder, target, networks, data)))
            print(f"{target}: {sum(len(n.rows) for n in networks)} rows of {len(networks)} networks, every byte the same")


if __name__ == "__main__":
    main()
