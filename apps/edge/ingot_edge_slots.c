/* SPDX-License-Identifier: Apache-2.0 */
/* Slots and their records. A record holds the whole state and a checksum; the one with the greatest
 * number counts. Records fill one sector, then the other is erased: at any moment the last whole
 * record lies in flash. A slot begins with the bundle's size. Owns nothing. */
#include "ingot_edge_slots.h"

#include "ingot_edge_file.h"

enum { MAGIC = 0x53474921, SLOT_HEADER_BYTES = 8, ERASED = 0xff };

static uint32_t sum_of(const uint8_t *record)
{
    uint32_t sum = 2166136261U; /* FNV-1a */
    for (unsigned i = 0; i < IGE_SLOTS_RECORD_BYTES - 4; i++) sum = (sum ^ record[i]) * 16777619U;
    return sum;
}

static void put_u32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static int is_erased(const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (at[i] != ERASED) return 0;
    return 1;
}

/* Takes the record's state when it is whole and later than what is known. */
static int take_record(struct ige_slots *slots, const uint8_t *at)
{
    if (ige_u32(at) != MAGIC || ige_u32(at + IGE_SLOTS_RECORD_BYTES - 4) != sum_of(at)) return 0;
    uint32_t sequence = ige_u32(at + 4);
    if (sequence <= slots->sequence) return 0;
    slots->sequence = sequence;
    slots->device.counter = (uint64_t)ige_u32(at + 8) | (uint64_t)ige_u32(at + 12) << 32;
    slots->active = at[16];
    slots->trial = at[17];
    slots->tries = at[18];
    return 1;
}

/* Reads all records; gives the sector of the last one. */
static unsigned read_records(struct ige_slots *slots)
{
    unsigned last = 0;
    for (unsigned s = 0; s < 2; s++)
        for (size_t at = 0; at + IGE_SLOTS_RECORD_BYTES <= slots->flash->records_bytes;
             at += IGE_SLOTS_RECORD_BYTES)
            if (take_record(slots, slots->flash->records[s] + at)) last = s;
    return last;
}

static const uint8_t *free_place(const struct ige_flash *flash, unsigned sector)
{
    const uint8_t *at = flash->records[sector];
    for (size_t i = 0; i + IGE_SLOTS_RECORD_BYTES <= flash->records_bytes;
         i += IGE_SLOTS_RECORD_BYTES)
        if (is_erased(at + i, flash->records_bytes - i)) return at + i;
    return NULL;
}

static int keep_record(struct ige_slots *slots)
{
    const struct ige_flash *flash = slots->flash;
    struct ige_slots known = {0};
    uint8_t record[IGE_SLOTS_RECORD_BYTES] = {0};
    known.flash = flash;
    unsigned sector = read_records(&known);
    const uint8_t *place = free_place(flash, sector);
    put_u32(record, MAGIC);
    put_u32(record + 4, slots->sequence + 1);
    put_u32(record + 8, (uint32_t)slots->device.counter);
    put_u32(record + 12, (uint32_t)(slots->device.counter >> 32));
    record[16] = slots->active;
    record[17] = slots->trial;
    record[18] = slots->tries;
    put_u32(record + IGE_SLOTS_RECORD_BYTES - 4, sum_of(record));
    if (!place) { /* the other sector holds nothing later than this one */
        place = flash->records[1 - sector];
        if (!flash->erase(flash->context, place)) return 0;
    }
    if (!flash->write(flash->context, place, record, sizeof record)) return 0;
    slots->sequence++;
    return 1;
}

static enum ige_bundle_status open_slot(struct ige_slots *slots, uint8_t slot)
{
    const struct ige_flash *flash = slots->flash;
    if (slot > 1) return IGE_BUNDLE_BROKEN;
    uint32_t size = ige_u32(flash->slots[slot]);
    if (size > flash->slot_bytes - SLOT_HEADER_BYTES) return IGE_BUNDLE_BROKEN;
    enum ige_bundle_status status =
        ige_bundle_open(&slots->bundle, flash->slots[slot] + SLOT_HEADER_BYTES, size);
    if (status != IGE_BUNDLE_OK) return status;
    return ige_bundle_try(&slots->bundle, slots->device.arena, slots->device.arena_bytes);
}

enum ige_bundle_status ige_slots_start(struct ige_slots *slots, const struct ige_flash *flash,
                                       const struct ige_device *device)
{
    slots->flash = flash;
    slots->device = *device;
    slots->device.counter = 0;
    slots->sequence = slots->written = 0;
    slots->active = slots->trial = IGE_SLOTS_NONE;
    slots->tries = 0;
    read_records(slots);
    if (slots->trial != IGE_SLOTS_NONE) {
        if (slots->tries) {
            slots->tries--;
            if (keep_record(slots) && open_slot(slots, slots->trial) == IGE_BUNDLE_OK)
                return IGE_BUNDLE_OK;
        }
        slots->trial = IGE_SLOTS_NONE;
        slots->tries = 0;
        keep_record(slots);
    }
    return open_slot(slots, slots->active);
}

int ige_slots_begin(struct ige_slots *slots, size_t size)
{
    const struct ige_flash *flash = slots->flash;
    uint8_t other = slots->active == 0 ? 1 : 0;
    uint8_t header[SLOT_HEADER_BYTES] = {0};
    if (size > flash->slot_bytes - SLOT_HEADER_BYTES) return 0;
    if (slots->trial != IGE_SLOTS_NONE) {
        slots->trial = IGE_SLOTS_NONE;
        slots->tries = 0;
        if (!keep_record(slots)) return 0;
    }
    for (size_t at = 0; at < flash->slot_bytes; at += flash->sector_bytes)
        if (!flash->erase(flash->context, flash->slots[other] + at)) return 0;
    put_u32(header, (uint32_t)size);
    slots->written = 0;
    return flash->write(flash->context, flash->slots[other], header, sizeof header);
}

int ige_slots_write(struct ige_slots *slots, const void *bytes, size_t size)
{
    const struct ige_flash *flash = slots->flash;
    const uint8_t *slot = flash->slots[slots->active == 0 ? 1 : 0];
    if (size > ige_u32(slot) - slots->written) return 0;
    if (!flash->write(flash->context, slot + SLOT_HEADER_BYTES + slots->written, bytes, size))
        return 0;
    slots->written += (uint32_t)size;
    return 1;
}

const uint8_t *ige_slots_confirmed(const struct ige_slots *slots, uint32_t *size)
{
    if (slots->active > 1) return NULL;
    const uint8_t *slot = slots->flash->slots[slots->active];
    *size = ige_u32(slot);
    return *size > slots->flash->slot_bytes - SLOT_HEADER_BYTES ? NULL : slot + SLOT_HEADER_BYTES;
}

const uint8_t *ige_slots_incoming(const struct ige_slots *slots)
{
    return slots->flash->slots[slots->active == 0 ? 1 : 0] + SLOT_HEADER_BYTES;
}

enum ige_bundle_status ige_slots_finish(struct ige_slots *slots,
                                        const uint8_t signature[IGE_SIGNATURE_BYTES])
{
    uint8_t other = slots->active == 0 ? 1 : 0;
    const uint8_t *slot = slots->flash->slots[other];
    struct ige_bundle bundle;
    if (slots->written != ige_u32(slot)) return IGE_BUNDLE_BROKEN;
    enum ige_bundle_status status = ige_bundle_check(&bundle, slot + SLOT_HEADER_BYTES,
                                                     slots->written, signature, &slots->device);
    if (status != IGE_BUNDLE_OK) return status;
    slots->trial = other;
    slots->tries = IGE_SLOTS_TRIES;
    return keep_record(slots) ? IGE_BUNDLE_OK : IGE_BUNDLE_BROKEN;
}

int ige_slots_confirm(struct ige_slots *slots)
{
    struct ige_slots proved = *slots;
    if (slots->trial == IGE_SLOTS_NONE) return 0;
    proved.active = slots->trial;
    proved.trial = IGE_SLOTS_NONE;
    proved.tries = 0;
    proved.device.counter = slots->bundle.counter;
    if (!keep_record(&proved)) return 0;
    *slots = proved;
    return 1;
}
