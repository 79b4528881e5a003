/* SPDX-License-Identifier: Apache-2.0 */
/* Arm's MPS2 boards as QEMU has them: start, semihosting, and SysTick as a clock. */
#include "firmware.h"

#include <stddef.h>

extern uint32_t stack_top, data_start, data_end, data_load, bss_start, bss_end;
int main(void);
void reset(void);
void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);

enum { SYS_WRITE0 = 4, SYS_EXIT = 0x18, EXITED = 0x20026, FAILED = 0x20023 };

static void call(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void platform_put(const char *text)
{
    call(SYS_WRITE0, text);
}

void platform_exit(int status)
{
    call(SYS_EXIT, (const void *)(uintptr_t)(status ? FAILED : EXITED));
    for (;;) continue;
}

uint32_t platform_ticks(void)
{
    return *(volatile uint32_t *)0xe000e018U;
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

void reset(void)
{
    for (uint32_t *from = &data_load, *to = &data_start; to < &data_end;) *to++ = *from++;
    for (uint32_t *to = &bss_start; to < &bss_end;) *to++ = 0;
    *(volatile uint32_t *)0xe000e014U = 0xffffffU; /* SysTick: from 2^24 - 1, the core's clock */
    *(volatile uint32_t *)0xe000e018U = 0;
    *(volatile uint32_t *)0xe000e010U = 5;
    platform_exit(main());
}

static void fault(void)
{
    platform_put("fault\n");
    platform_exit(1);
}

__attribute__((section(".vectors"), used)) static const void *const VECTORS[] = {
    &stack_top,           (const void *)&reset, (const void *)&fault, (const void *)&fault,
    (const void *)&fault, (const void *)&fault, (const void *)&fault};
