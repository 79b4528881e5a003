#!/usr/bin/env python3
"""Runs the device runtime and exported C files on emulated processors, beside `ingot edge run`.

    device.py            Cortex-M4, with INGOT_LONG=1 Cortex-M3, arm, aarch64 and more models: every bit of margins
    device.py --bench    the same models on Cortex-M3 and M4: bytes, RAM, instructions; more with MODEL ROWS pairs

Ends with 77, which ctest reports as skipped, when a compiler or emulator is absent.
"""
import json
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
INGOT = os.path.join(os.environ.get("INGOT_BUILD_DIR", os.path.join(ROOT, "build/dev")), "ingot")
GOLDEN = os.path.join(ROOT, "tests/golden")
TREES = [os.path.join(ROOT, "apps/edge", f"ingot_edge{part}.c") for part in ("", "_load", "_run")]
NO_NETWORKS = "-DIGE_NO_NETWORKS"  # network_device.py has them
FLAGS = ["-std=c99", "-ffreestanding", "-O2", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off", "-ffunction-sections",
         "-fdata-sections", "-I" + os.path.join(ROOT, "apps/edge"), "-I" + HERE]
GCC = "arm-none-eabi-gcc"
MPS2 = ["-mthumb", "-nostdlib", "-Wl,--gc-sections", "-T", os.path.join(HERE, "mps2.ld")]
LLVM = ["-nostdlib", "-static", "-fuse-ld=lld"]
TARGETS = {
    "cortex-m3": ([GCC, "-mcpu=cortex-m3"] + MPS2, "platform_mps2.c",
                  ["qemu-system-arm", "-M", "mps2-an385", "-cpu", "cortex-m3"]),
    "cortex-m4": ([GCC, "-mcpu=cortex-m4"] + MPS2, "platform_mps2.c",
                  ["qemu-system-arm", "-M", "mps2-an386", "-cpu", "cortex-m4"]),
    "arm": ([GCC, "-mcpu=cortex-a7", "-marm", "-nostdlib"], "platform_linux.c", ["qemu-arm"]),
    "aarch64": (["clang", "--target=aarch64-linux-gnu"] + LLVM, "platform_linux.c", ["qemu-aarch64"]),
}
BOARD = ["-display", "none", "-serial", "null", "-monitor", "none", "-chardev", "stdio,id=out",
         "-semihosting-config", "enable=on,target=native,chardev=out",
         "-icount", "shift=0"]
TICK = 40  # instructions: SysTick runs at 25 MHz, and an instruction takes a nanosecond
CASES = [("xgboost/binary_missing/model.json", "int16"), ("xgboost/softprob/model.json", "int8"),
         ("lightgbm/categorical/model.txt", "int16"), ("xgboost/binary_missing/model.json", "exact"),
         ("lightgbm/zero_as_missing/model.txt", "exact"), ("lightgbm/multiclass/model.txt", "float32"),
         ("lightgbm/rf_binary/model.txt", "exact")]
BRIEF = ("cortex-m4",), 3  # targets, and how many of the cases
ROWS_MAX = 40


def run(*arguments):
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
    return done.stdout


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            print(f"skipped: {program} is absent (tools/setup test installs it)")
            sys.exit(77)


def to_float(cell):
    """The float next to the cell's number, or NaN."""
    try:
        return struct.unpack("<f", struct.pack("<f", float(cell)))[0]
    except (ValueError, OverflowError):
        return math.nan


def bits(value):
    return 0x7fc00000 if math.isnan(value) else struct.unpack("<I", struct.pack("<f", value))[0]


class Model:
    """One model's file, C source and rows, and the margins that `ingot edge run` gives."""

    def __init__(self, folder, number, path, leaves, rows_path):
        self.number, self.path, self.leaves = number, path, leaves
        self.file, self.source = os.path.join(folder, f"m{number}.ige"), os.path.join(folder, f"m{number}.c")
        run(INGOT, "edge", "convert", path, "--leaves", leaves, "--output", self.file)
        run(INGOT, "edge", "export", path, "--leaves", leaves, "--output", self.source, "--name", f"m{number}")
        with open(rows_path, encoding="utf-8") as lines:
            cells = [line.strip().split(",") for line in lines][1:1 + ROWS_MAX]
        self.rows = [[to_float(cell) for cell in row] for row in cells]
        plain = os.path.join(folder, f"rows{number}.csv")
        with open(plain, "w", encoding="utf-8") as out:
            for row in self.rows:
                out.write(",".join("" if math.isnan(x) else repr(x) for x in row) + "\n")
        margins = run(INGOT, "edge", "run", "--model", self.file, "--input", plain, "--no-header")
        self.margins = [[float(cell) for cell in line.split(",")] for line in margins.splitlines()]
        self.facts = json.loads(run(INGOT, "edge", "inspect", self.file, "--format", "json"))
        with open(self.file, "rb") as data:
            self.bytes = data.read()

    def words(self, row):
        """A row's margins as the device prints them."""
        if self.facts["leaves"].startswith("int"):
            return [int(x / 2.0 ** self.facts["scale_exponent"]) & 0xffffffff for x in self.margins[row]]
        form = "<II" if self.facts["leaves"] == "float64" else "<I"
        pack = "<d" if self.facts["leaves"] == "float64" else "<f"
        return [word for x in self.margins[row] for word in struct.unpack(form, struct.pack(pack, x))]


def write_data(folder, models, repeats):
    out = ['#include "firmware.h"']
    for model in models:
        n = model.number
        out.append(f"void m{n}_margins(const float *features, void *margins);")
        out.append(f"static const uint8_t bytes{n}[] = {{{','.join(map(str, model.bytes))}}};")
        rows = ",".join(f"{bits(x)}U" for row in model.rows for x in row)
        out.append(f"static const uint32_t rows{n}[] = {{{rows}}};")
    table = ",\n".join(f"{{bytes{m.number}, sizeof bytes{m.number}, rows{m.number}, {len(m.rows)}, m{m.number}_margins}}"
                       for m in models)
    out.append(f"const struct firmware_model firmware_models[] = {{{table}}};")
    out.append(f"const uint32_t firmware_models_count = {len(models)}, firmware_repeats = {repeats};")
    path = os.path.join(folder, "data.c")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")
    return path


def build(folder, target, models, data):
    compiler, platform, _ = TARGETS[target]
    program = os.path.join(folder, target + ".elf")
    sources = TREES + [os.path.join(HERE, "firmware.c"), os.path.join(HERE, platform), data]
    libraries = ["-lgcc"] if compiler[0] == GCC else []
    run(*compiler, *FLAGS, NO_NETWORKS, *sources, *[m.source for m in models], *libraries, "-o", program)
    return program


def emulate(target, program):
    emulator = TARGETS[target][2]
    if emulator[0] == "qemu-system-arm":
        return run(*emulator, *BOARD, "-kernel", program)
    return run(*emulator, program)


def parse(text, models):
    """The device's rows and figures of each model."""
    lines = text.splitlines()
    if not lines or lines[-1] != "end":
        sys.exit(f"the device did not come to its end: {text[-300:]}")
    answers, at = [], 0
    for model in models:
        head = lines[at].split()
        if head[:1] != ["model"] or int(head[3], 16):
            sys.exit(f"{model.path}: {lines[at]}")
        rows = [[int(word, 16) for word in line.split()] for line in lines[at + 1:at + 1 + len(model.rows)]]
        at += 1 + len(model.rows)
        words = lines[at].split()
        answers.append((rows, {words[i]: int(words[i + 1], 16) for i in range(0, len(words), 2)}))
        at += 1
    return answers


def check(target, models, answers):
    for model, (rows, figures) in zip(models, answers):
        for index, row in enumerate(rows):
            if row != model.words(index):
                sys.exit(f"{target}: {model.path}, {model.leaves}: row {index} is {row}, expected {model.words(index)}")
        if figures["wrong"]:
            sys.exit(f"{target}: {model.path}, {model.leaves}: the C file differs in {figures['wrong']} words")
        if figures["arena"] != model.facts["arena_bytes"]:
            sys.exit(f"{target}: arena of {figures['arena']}, foretold {model.facts['arena_bytes']}")


def text_bytes(compiler, source, flags):
    with tempfile.NamedTemporaryFile(suffix=".o") as out:
        run(*compiler, *[f for f in FLAGS if f != "-O2"], *flags, NO_NETWORKS, "-c", source, "-o", out.name)
        return int(run("arm-none-eabi-size", out.name).splitlines()[1].split()[0])


def bench(folder, models):
    data = write_data(folder, models, 4)
    for target in ("cortex-m3", "cortex-m4"):
        compiler = TARGETS[target][0][:2] + ["-mthumb"]
        for flags in (["-Os"], ["-Os", "-DIGE_NO_FLOAT"], ["-O2", "-DIGE_NO_FLOAT"]):
            sizes = [text_bytes(compiler, source, flags) for source in TREES]
            print(f"{target}: runtime code {' '.join(flags)}: file {sizes[0]}, load and check {sizes[1]}, trees "
                  f"{sizes[2]}, together {sum(sizes)} bytes")
        answers = parse(emulate(target, build(folder, target, models, data)), models)
        check(target, models, answers)
        for model, (_, figures) in zip(models, answers):
            calls, splits = 4 * len(model.rows), figures["splits"] * 4
            nodes = splits + calls * model.facts["trees"]  # with the leaves in which rows end
            name = os.path.join(*model.path.split("/")[-2:])
            line = f"{target} {name} {model.leaves}: {len(model.bytes)} bytes, " \
                   f"{len(model.bytes) / model.facts['nodes']:.2f} a node, C file {text_bytes(compiler, model.source, ['-O2'])}, " \
                   f"RAM {figures['arena']} + {figures['structs']}"
            for kind in ("runtime", "exported"):
                instructions = figures[kind] * TICK
                line += f", {kind} {instructions / calls:.0f} instructions a row"
                if splits:
                    line += f" ({instructions / splits:.1f} a split, {instructions / nodes:.1f} a node passed)"
            print(line)


def main():
    benching = sys.argv[1:2] == ["--bench"]
    more = sys.argv[2:] if benching else []
    targets, cases_count = (TARGETS, len(CASES)) if os.environ.get("INGOT_LONG") or benching else BRIEF
    need(GCC, "qemu-system-arm", *(["qemu-arm", "qemu-aarch64", "clang", "ld.lld"] if targets is TARGETS and not benching else []))
    with tempfile.TemporaryDirectory() as folder:
        cases = [(os.path.join(GOLDEN, path), leaves, os.path.join(GOLDEN, os.path.dirname(path), "input.csv"))
                 for path, leaves in ([] if more else CASES[:cases_count])]
        for i in range(0, len(more), 2):
            cases += [(more[i], leaves, more[i + 1]) for leaves in ("int16", "int8", "exact")]
        models = [Model(folder, number, *case) for number, case in enumerate(cases)]
        if benching:
            bench(folder, models)
            return
        data = write_data(folder, models, 0)
        for target in targets:
            check(target, models, parse(emulate(target, build(folder, target, models, data)), models))
            print(f"{target}: {sum(len(m.rows) for m in models)} rows of {len(models)} models, every bit the same")


if __name__ == "__main__":
    main()
