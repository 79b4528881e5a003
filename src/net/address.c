/* SPDX-License-Identifier: Apache-2.0 */
/* What is public, after IANA's registries of special-purpose addresses (RFC 6890). Of IPv6 only
 * global unicast, 2000::/3, is handed out, so everything outside of it is not public. */
#include "net/address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct block4 {
    uint32_t address;
    unsigned bits;
};
static const struct block4 SPECIAL4[] = {
    {0x00000000, 8},  /* this network */
    {0x0a000000, 8},  /* private */
    {0x64400000, 10}, /* shared by carriers */
    {0x7f000000, 8},  /* loopback */
    {0xa9fe0000, 16}, /* link-local */
    {0xac100000, 12}, /* private */
    {0xc0000000, 24}, /* protocol assignments */
    {0xc0000200, 24}, /* documentation */
    {0xc0586300, 24}, /* 6to4 relays */
    {0xc0a80000, 16}, /* private */
    {0xc6120000, 15}, /* benchmarking */
    {0xc6336400, 24}, /* documentation */
    {0xcb007100, 24}, /* documentation */
    {0xe0000000, 3},  /* multicast, reserved, broadcast */
};

struct block6 {
    unsigned char address[16];
    unsigned bits;
};
static const struct block6 SPECIAL6[] = {
    {{0x20, 0x01}, 23},             /* protocol assignments, Teredo among them */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x3f, 0xff}, 20},             /* documentation */
};
static const struct block6 GLOBAL6 = {{0x20}, 3};
static const struct block6 MAPPED = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96};
static const struct block6 NAT64 = {{0x00, 0x64, 0xff, 0x9b}, 96};
static const struct block6 SIX_TO_FOUR = {{0x20, 0x02}, 16};

static bool is_public4(uint32_t address)
{
    for (size_t i = 0; i < COUNT(SPECIAL4); i++)
        if ((address ^ SPECIAL4[i].address) >> (32 - SPECIAL4[i].bits) == 0) return false;
    return true;
}

static bool is_within(const unsigned char *address, const struct block6 *block)
{
    unsigned whole = block->bits / 8, rest = block->bits % 8;
    if (memcmp(address, block->address, whole) != 0) return false;
    return rest == 0 || (address[whole] ^ block->address[whole]) >> (8 - rest) == 0;
}

static uint32_t read4(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool is_public6(const unsigned char *address)
{
    if (is_within(address, &MAPPED) || is_within(address, &NAT64))
        return is_public4(read4(address + 12));
    if (is_within(address, &SIX_TO_FOUR)) return is_public4(read4(address + 2));
    if (!is_within(address, &GLOBAL6)) return false;
    for (size_t i = 0; i < COUNT(SPECIAL6); i++)
        if (is_within(address, &SPECIAL6[i])) return false;
    return true;
}

bool ig_address_is_public(const struct sockaddr *address)
{
    struct sockaddr_in four;
    struct sockaddr_in6 six;
    if (address->sa_family == AF_INET) {
        memcpy(&four, address, sizeof four);
        return is_public4(ntohl(four.sin_addr.s_addr));
    }
    if (address->sa_family != AF_INET6) return false;
    memcpy(&six, address, sizeof six);
    return is_public6(six.sin6_addr.s6_addr);
}

void ig_address_format(char out[INET6_ADDRSTRLEN], const struct sockaddr *address)
{
    struct sockaddr_in four;
    struct sockaddr_in6 six;
    const void *bytes = NULL;
    if (address->sa_family == AF_INET) {
        memcpy(&four, address, sizeof four);
        bytes = &four.sin_addr;
    } else if (address->sa_family == AF_INET6) {
        memcpy(&six, address, sizeof six);
        bytes = &six.sin6_addr;
    }
    if (!bytes || !inet_ntop(address->sa_family, bytes, out, INET6_ADDRSTRLEN))
        snprintf(out, INET6_ADDRSTRLEN, "?");
}
