/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http2_pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_gives_what_came_back(void **state)
{
    struct ig_http2_pool pool;
    (void)state;
    ig_http2_pool_init(&pool);
    nghttp2_mem *mem = &pool.mem;
    char *first = mem->malloc(33, mem->mem_user_data), *other = mem->malloc(33, mem->mem_user_data);
    assert_true(first && other && first != other);
    assert_int_equal((uintptr_t)first % _Alignof(max_align_t), 0);
    memset(first, 1, 64);
    mem->free(first, mem->mem_user_data);
    assert_int_equal(pool.kept[1].count, 1);
    char *smaller = mem->malloc(32, mem->mem_user_data);
    assert_ptr_not_equal(smaller, first);
    assert_ptr_equal(mem->calloc(8, 8, mem->mem_user_data), first);
    for (int i = 0; i < 64; i++) assert_int_equal(first[i], 0);
    assert_int_equal(pool.kept[1].count, 0);
    mem->free(first, mem->mem_user_data);
    mem->free(other, mem->mem_user_data);
    mem->free(smaller, mem->mem_user_data);
    mem->free(NULL, mem->mem_user_data);
    ig_http2_pool_deinit(&pool);
}

static void test_grows_and_keeps_the_bytes(void **state)
{
    struct ig_http2_pool pool;
    (void)state;
    ig_http2_pool_init(&pool);
    nghttp2_mem *mem = &pool.mem;
    char *text = mem->realloc(NULL, 5, mem->mem_user_data);
    assert_non_null(text);
    memcpy(text, "bytes", 5);
    assert_ptr_equal(mem->realloc(text, 32, mem->mem_user_data), text);
    const size_t sizes[] = {33, 512, 513, 5000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        text = mem->realloc(text, sizes[i], mem->mem_user_data);
        assert_non_null(text);
        assert_memory_equal(text, "bytes", 5);
        text[sizes[i] - 1] = 'x';
    }
    mem->free(text, mem->mem_user_data);
    ig_http2_pool_deinit(&pool);
}

static void test_is_bounded(void **state)
{
    enum { MANY = IG_HTTP2_POOL_KEPT_MAX + 10 };
    static void *pieces[MANY];
    struct ig_http2_pool pool;
    (void)state;
    ig_http2_pool_init(&pool);
    nghttp2_mem *mem = &pool.mem;
    for (int i = 0; i < MANY; i++) pieces[i] = mem->malloc(0, mem->mem_user_data);
    for (int i = 0; i < MANY; i++) mem->free(pieces[i], mem->mem_user_data);
    assert_int_equal(pool.kept[0].count, IG_HTTP2_POOL_KEPT_MAX);
    assert_null(mem->malloc(SIZE_MAX, mem->mem_user_data));
    assert_null(mem->calloc(SIZE_MAX / 2, 4, mem->mem_user_data));
    ig_http2_pool_deinit(&pool);
    assert_int_equal(pool.kept[0].count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_gives_what_came_back),
                                       cmocka_unit_test(test_grows_and_keeps_the_bytes),
                                       cmocka_unit_test(test_is_bounded)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
