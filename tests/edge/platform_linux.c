/* SPDX-License-Identifier: Apache-2.0 */
/* Linux on arm and aarch64 without a C library, for user-mode emulation. */
#include "firmware.h"

#include <stddef.h>

int main(void);
void _start(void);
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);

#ifdef __aarch64__
enum { WRITE = 64, EXIT = 93 };
static long call(long number, long a, long b, long c)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
#else
enum { WRITE = 4, EXIT = 1 };
static long call(long number, long a, long b, long c)
{
    register long r7 __asm__("r7") = number;
    register long r0 __asm__("r0") = a;
    register long r1 __asm__("r1") = b;
    register long r2 __asm__("r2") = c;
    __asm__ volatile("svc 0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2) : "memory");
    return r0;
}
#endif

void platform_put(const char *text)
{
    long size = 0;
    while (text[size]) size++;
    call(WRITE, 1, (long)text, size);
}

void platform_exit(int status)
{
    call(EXIT, status, 0, 0);
    for (;;) continue;
}

uint32_t platform_ticks(void)
{
    return 0;
}

void *memcpy(void *to, const void *from, size_t size)
{
    for (size_t i = 0; i < size; i++) ((uint8_t *)to)[i] = ((const uint8_t *)from)[i];
    return to;
}

void *memset(void *to, int value, size_t size)
{
    for (size_t i = 0; i < size; i++) ((uint8_t *)to)[i] = (uint8_t)value;
    return to;
}

void _start(void)
{
    platform_exit(main());
}
