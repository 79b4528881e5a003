/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses are public. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/address.h"

#include <arpa/inet.h>
#include <string.h>

static bool is_public(const char *text)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    char again[INET6_ADDRSTRLEN];
    const struct sockaddr *address = (const struct sockaddr *)&four;
    if (inet_pton(AF_INET, text, &four.sin_addr) != 1) {
        assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
        address = (const struct sockaddr *)&six;
    }
    ig_address_format(again, address);
    assert_string_equal(again, text);
    return ig_address_is_public(address);
}

static void test_public(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "1.1.1.1",      "8.8.8.8",         "9.255.255.255",   "11.0.0.0",         "100.63.255.255",
        "100.128.0.0",  "126.255.255.255", "128.0.0.1",       "172.15.255.255",   "172.32.0.0",
        "192.0.1.0",    "198.17.255.255",  "198.20.0.0",      "223.255.255.255",  "2606:4700::1111",
        "2a00:1450::1", "::ffff:8.8.8.8",  "2002:808:808::1", "64:ff9b::808:808",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!is_public(texts[i])) fail_msg("%s", texts[i]);
}

static void test_special(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.88.99.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::127.0.0.1",
        "fe80::1",
        "fc00::1",
        "fd12:3456::1",
        "ff02::1",
        "2001:db8::1",
        "2001::1",
        "3fff::1",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "4000::1",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (is_public(texts[i])) fail_msg("%s", texts[i]);
}

static void test_others(void **state)
{
    (void)state;
    char text[INET6_ADDRSTRLEN];
    const struct sockaddr local = {.sa_family = AF_UNIX};
    assert_false(ig_address_is_public(&local));
    ig_address_format(text, &local);
    assert_string_equal(text, "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_public),
                                       cmocka_unit_test(test_special),
                                       cmocka_unit_test(test_others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
