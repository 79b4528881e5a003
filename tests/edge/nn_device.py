#!/usr/bin/env python3
"""Runs the device's kernels of networks on emulated processors, beside the same on this machine.

    nn_device.py            Cortex-M4; with INGOT_LONG=1 Cortex-M3, arm, arm with NEON and aarch64 too: every bit the same
    nn_device.py --bench    instructions of the MLPerf Tiny networks' layers on Cortex-M3 and M4, on random numbers, and bytes of code

Ends with 77, which ctest reports as skipped, when a compiler or emulator is absent.
"""
import concurrent.futures
import glob
import os
import sys
import tempfile

import device
from device import FLAGS, GCC, HERE, ROOT, TARGETS, TICK, emulate, need, run

KERNELS = sorted(path for path in glob.glob(os.path.join(ROOT, "apps/edge/ingot_edge_nn_*.c")) if not path.endswith("_test.c"))
TARGETS["neon"] = ([GCC, "-mcpu=cortex-a7", "-mfpu=neon", "-mfloat-abi=hard", "-marm", "-nostdlib"], "platform_linux.c",
                   ["qemu-arm"])
BRIEF = ("cortex-m4",)
OTHERS = {"cortex-m4": {"kws": 7.73, "vww": 25.87, "ic": 30.06, "ad": 0.624},   # TensorFlow Lite Micro with CMSIS-NN
          "cortex-m3": {"kws": 42.05, "vww": 100.6, "ic": 105.9, "ad": 1.99}}   # its reference kernels


def build(folder, target, repeats, flags):
    compiler, platform, _ = TARGETS[target]
    data, program = os.path.join(folder, target + ".c"), os.path.join(folder, target + ".elf")
    with open(data, "w", encoding="utf-8") as file:
        file.write(f'#include "firmware.h"\nconst uint32_t firmware_repeats = {repeats};\n')
    libraries = ["-lgcc"] if compiler[0] == GCC else []
    sources = [os.path.join(HERE, "nn_firmware.c"), os.path.join(HERE, platform), data]
    run(*compiler, *flags, *sources, *KERNELS, *libraries, "-o", program)
    return program


def build_one_file(folder):
    """For this machine, all in one file as exported C files have it."""
    path, program = os.path.join(folder, "one.c"), os.path.join(folder, "one")
    with open(path, "w", encoding="utf-8") as file:
        file.write("#define IGE_NN_API static\n")
        for source in KERNELS + [os.path.join(HERE, "nn_firmware.c")]:
            file.write(f'#include "{source}"\n')
        file.write("const uint32_t firmware_repeats = 0;\n")
    flags = [flag for flag in FLAGS if flag not in ("-ffreestanding", "-O2")] + ["-O1", "-Wno-unused-function"]
    run("gcc", *flags, path, os.path.join(HERE, "platform_host.c"), "-o", program)
    return program


def answer(text, where):
    lines = text.splitlines()
    if not lines or lines[-1] != "end":
        sys.exit(f"{where} did not come to its end: {text[-300:]}")
    words = lines[0].split()
    if words[:2] != ["forms", "00000000"]:
        sys.exit(f"{where}: a form differs from the portable one: {lines[0]}")
    return words[3], lines[1:-1]


def bench(folder, target):
    compiler = TARGETS[target][0]
    for path in KERNELS:
        size = device.text_bytes(compiler[:2] + ["-mthumb"], path, ["-O2"])
        print(f"{target}: {os.path.basename(path)}: {size} bytes")
    _, lines = answer(emulate(target, build(folder, target, 1, FLAGS)), target)
    half = len(lines) // 2
    for rounding, part in (("single", lines[:half]), ("double", lines[half:])):
        sums = {}
        for line in part:
            network, op, *words = line.split()
            times, in_h, in_w, in_c, out_c, filter_h, filter_w, stride, ticks = (int(word, 16) for word in words)
            outputs = -(-in_h // stride) * -(-in_w // stride) * out_c
            products = outputs * filter_h * filter_w * (in_c if op in ("conv", "connected") else 1)
            sums[network] = sums.get(network, 0) + times * ticks * TICK
            if rounding == "single":
                print(f"{target}: {network} {op} {in_h}x{in_w}x{in_c} to {out_c}, {filter_h}x{filter_w} by {stride}: "
                      f"{ticks * TICK} instructions, {ticks * TICK / products:.2f} a product")
        for network, count in sums.items():
            other = OTHERS[target][network]
            print(f"{target}: {network}, {rounding} rounding: {count / 1e6:.3f} million instructions, "
                  f"TensorFlow Lite Micro {other}: {count / 1e6 / other:.2f}")


def main():
    benching = sys.argv[1:2] == ["--bench"]
    need(GCC, "gcc", "qemu-system-arm", *(["qemu-arm", "qemu-aarch64", "clang", "ld.lld"] if os.environ.get("INGOT_LONG") else []))
    with tempfile.TemporaryDirectory() as folder:
        if benching:
            for target in ("cortex-m4", "cortex-m3"):
                bench(folder, target)
            return
        targets = TARGETS if os.environ.get("INGOT_LONG") else BRIEF
        with concurrent.futures.ThreadPoolExecutor(2) as pool:  # compiling takes all of the time
            here = pool.submit(build_one_file, folder)
            programs = {target: pool.submit(build, folder, target, 0, FLAGS) for target in targets}
        expected, _ = answer(run(here.result()), "here")
        for target in targets:
            sums, _ = answer(emulate(target, programs[target].result()), target)
            if sums != expected:
                sys.exit(f"{target}: layers give {sums}, here {expected}")
            print(f"{target}: every layer the same")


if __name__ == "__main__":
    main()
