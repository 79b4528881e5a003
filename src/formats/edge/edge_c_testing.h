/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_EDGE_EDGE_C_TESTING_H
#define IG_FORMATS_EDGE_EDGE_C_TESTING_H

/* For tests only: exported C files, compiled by the strictest words of the compiler and loaded. */

#include "base/file.h"

#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char ig_c_testing_folder[64];

/* Of a group of tests. */
static int ig_c_testing_setup(void **state)
{
    (void)state;
    snprintf(ig_c_testing_folder, sizeof ig_c_testing_folder, "/tmp/ingot-edge-XXXXXX");
    return mkdtemp(ig_c_testing_folder) ? 0 : -1;
}

static int ig_c_testing_teardown(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    return ig_dir_remove_tree(IG_FILE_CWD, ig_c_testing_folder, &err) == IG_OK ? 0 : -1;
}

static void ig_c_testing_compile(const char *source, const char *library)
{
    char *arguments[] = {"cc",
                         "-std=c99",
                         "-Wall",
                         "-Wextra",
                         "-Wpedantic",
                         "-Wconversion",
                         "-Wshadow",
                         "-Werror",
                         "-O1",
                         "-ffp-contract=off",
                         "-shared",
                         "-fPIC",
                         "-o",
                         (char *)(uintptr_t)library,
                         (char *)(uintptr_t)source,
                         NULL};
    pid_t pid;
    int status = -1;
    assert_int_equal(posix_spawnp(&pid, "cc", NULL, NULL, arguments, environ), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (status) fail_msg("%s: the compiler complains", source);
}

/* The library that a C file becomes, for dlclose. */
static void *ig_c_testing_load(struct ig_str text, const char *name)
{
    struct ig_err err = IG_ERR_INIT;
    char source[128], library[128];
    snprintf(source, sizeof source, "%s/%s.c", ig_c_testing_folder, name);
    snprintf(library, sizeof library, "%s/%s.so", ig_c_testing_folder, name);
    if (ig_file_replace(IG_FILE_CWD, source, text, &err) != IG_OK) fail_msg("%s", err.message);
    ig_c_testing_compile(source, library);
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!handle) fail_msg("%s", dlerror());
    return handle;
}

/* dlsym gives functions as pointers to data. */
static void *ig_c_testing_symbol(void *library, const char *name)
{
    void *found = dlsym(library, name);
    if (!found) fail_msg("%s is absent", name);
    return found;
}

#endif
