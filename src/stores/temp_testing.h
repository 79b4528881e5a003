/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_STORES_TEMP_TESTING_H
#define IG_STORES_TEMP_TESTING_H

/* For tests: a directory that goes away, and assertions on calls that fill an ig_err. */

#include "base/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct ig_temp {
    char path[64];
    int fd;
};

static inline struct ig_temp ig_temp_make(void)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_temp temp = {.fd = -1};
    snprintf(temp.path, sizeof temp.path, "/tmp/ingot-test-XXXXXX");
    assert_non_null(mkdtemp(temp.path));
    assert_int_equal(ig_dir_open(&temp.fd, IG_FILE_CWD, temp.path, &err), IG_OK);
    return temp;
}

static inline void ig_temp_remove(struct ig_temp *temp)
{
    struct ig_err err = IG_ERR_INIT;
    ig_file_close(&temp->fd);
    assert_int_equal(ig_dir_remove_tree(IG_FILE_CWD, temp->path, &err), IG_OK);
}

/* Asserts that a call is OK and shows the message when it is not. */
#define ASSERT_OK(call)                                                                            \
    do {                                                                                           \
        enum ig_code code_ = (call);                                                               \
        if (code_ != IG_OK) fail_msg("%s: %s: %s", #call, ig_code_name(code_), err.message);       \
    } while (0)
/* Asserts the code and that the message holds the text; clears the record. */
#define ASSERT_FAILS(call, expected, text)                                                         \
    do {                                                                                           \
        enum ig_code code_ = (call);                                                               \
        if (code_ != (expected) || err.code != (expected) || !strstr(err.message, (text)))         \
            fail_msg("%s: %s: '%s', expected %s with '%s'", #call, ig_code_name(code_),            \
                     err.message, ig_code_name(expected), (text));                                 \
        ig_err_clear(&err);                                                                        \
    } while (0)

#endif
