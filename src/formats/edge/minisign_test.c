/* SPDX-License-Identifier: Apache-2.0 */
/* minisign's files: read back, refused when broken, and believed by Debian's minisign. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "formats/edge/minisign.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static const unsigned char SEED[32] = {7, 7, 7};

static void test_files(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    unsigned char key[IG_MINISIGN_KEY_BYTES], signature[IG_MINISIGN_SIGNATURE_BYTES];
    struct ig_buf public_text, text;
    ig_buf_init(&public_text, 4096);
    ig_buf_init(&text, 4096);
    assert_int_equal(ig_minisign_public_write(&public_text, SEED, &err), IG_OK);
    assert_int_equal(ig_minisign_public_read(key, ig_buf_view(&public_text), &err), IG_OK);
    assert_memory_equal(key, "Ed", 2);
    assert_int_equal(ig_minisign_sign(&text, SEED, IG_STR("bytes"), IG_STR("a note"), &err), IG_OK);
    assert_int_equal(ig_minisign_signature_read(signature, ig_buf_view(&text), &err), IG_OK);
    assert_memory_equal(signature, "ED", 2);
    assert_memory_equal(signature + 2, key + 2, 8);
    assert_non_null(strstr(text.ptr, "\ntrusted comment: a note\n"));
    ig_buf_deinit(&public_text);
    ig_buf_deinit(&text);
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const BAD[] = {"", "one line", "untrusted\nRWQ=\n", "untrusted\n!!!!\n"};
    unsigned char key[IG_MINISIGN_KEY_BYTES], signature[IG_MINISIGN_SIGNATURE_BYTES];
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct ig_err one = IG_ERR_INIT, other = IG_ERR_INIT;
        assert_int_equal(ig_minisign_public_read(key, ig_str_view(BAD[i]), &one), IG_PARSE);
        assert_int_equal(ig_minisign_signature_read(signature, ig_str_view(BAD[i]), &other),
                         IG_PARSE);
    }
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf text;
    ig_buf_init(&text, 4096);
    assert_int_equal(ig_minisign_sign(&text, SEED, IG_STR("bytes"), IG_STR("two\nlines"), &err),
                     IG_INVALID);
    assert_int_equal(text.len, 0);
    ig_buf_deinit(&text);
}

static int run_minisign(const char *file, const char *key)
{
    char *arguments[] = {"minisign", "-Vqm", (char *)(uintptr_t)file, "-p", (char *)(uintptr_t)key,
                         NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status = -1;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    if (posix_spawnp(&pid, "minisign", &actions, NULL, arguments, environ) != 0)
        status = -1;
    else
        waitpid(pid, &status, 0);
    posix_spawn_file_actions_destroy(&actions);
    return status;
}

static void write_text(const char *folder, const char *name, struct ig_str text)
{
    struct ig_err err = IG_ERR_INIT;
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(ig_file_replace(IG_FILE_CWD, path, text, &err), IG_OK);
}

static void test_minisign_believes(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    char folder[] = "/tmp/ingot-minisign-XXXXXX", file[64], key[64];
    struct ig_buf public_text, text;
    assert_non_null(mkdtemp(folder));
    ig_buf_init(&public_text, 4096);
    ig_buf_init(&text, 4096);
    snprintf(file, sizeof file, "%s/model", folder);
    snprintf(key, sizeof key, "%s/key.pub", folder);
    ig_minisign_public_write(&public_text, SEED, &err);
    ig_minisign_sign(&text, SEED, IG_STR("a model's bytes"), IG_STR("version 3"), &err);
    write_text(folder, "model", IG_STR("a model's bytes"));
    write_text(folder, "model.minisig", ig_buf_view(&text));
    write_text(folder, "key.pub", ig_buf_view(&public_text));
    int status = run_minisign(file, key);
    write_text(folder, "model", IG_STR("another's bytes"));
    int changed = run_minisign(file, key);
    ig_dir_remove_tree(IG_FILE_CWD, folder, &err);
    ig_buf_deinit(&public_text);
    ig_buf_deinit(&text);
    if (status == -1) skip(); /* no minisign here */
    assert_int_equal(status, 0);
    assert_int_not_equal(changed, 0);
}

/* Of the message's hash, as it is written here, and of the message itself, as older ones are. */
static void test_verify(void **state)
{
    (void)state;
    static const unsigned char OTHER[IG_ED25519_BYTES] = {99};
    struct ig_err err = IG_ERR_INIT;
    unsigned char key[IG_MINISIGN_KEY_BYTES], other[IG_MINISIGN_KEY_BYTES];
    unsigned char signature[IG_MINISIGN_SIGNATURE_BYTES];
    struct ig_buf text;
    struct ig_str message = IG_STR("a model's bytes");
    ig_buf_init(&text, 4096);
    ig_minisign_public_write(&text, SEED, &err);
    assert_int_equal(ig_minisign_public_read(key, ig_buf_view(&text), &err), IG_OK);
    ig_buf_reset(&text);
    ig_minisign_public_write(&text, OTHER, &err);
    assert_int_equal(ig_minisign_public_read(other, ig_buf_view(&text), &err), IG_OK);
    ig_buf_reset(&text);
    ig_minisign_sign(&text, SEED, message, IG_STR(""), &err);
    assert_int_equal(ig_minisign_signature_read(signature, ig_buf_view(&text), &err), IG_OK);
    assert_int_equal(ig_minisign_verify(signature, key, message, &err), IG_OK);
    assert_int_equal(ig_minisign_verify(signature, other, message, &err), IG_INVALID);
    ig_err_clear(&err);
    assert_int_equal(ig_minisign_verify(signature, key, IG_STR("another's bytes"), &err),
                     IG_CORRUPT);
    ig_err_clear(&err);
    assert_int_equal(ig_ed25519_sign(signature + 10, SEED, message, &err), IG_OK);
    assert_int_equal(ig_minisign_verify(signature, key, message, &err), IG_CORRUPT);
    ig_err_clear(&err);
    signature[1] = 'd';
    assert_int_equal(ig_minisign_verify(signature, key, message, &err), IG_OK);
    ig_buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_minisign_believes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
