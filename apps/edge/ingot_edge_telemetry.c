/* SPDX-License-Identifier: Apache-2.0 */
/* The ring log. A sector begins with a record of its own: its number, and how far the log was. The
 * sector with the greatest number is under way. A record that is not whole ends its sector: what
 * lies behind it is not known to be erased. Owns nothing. */
#include "ingot_edge_telemetry.h"

#include "ingot_edge_file.h"

enum { MAGIC = 0x4c49, SECTOR = 'S', ACKED = 'A', SUM_AT = 12, SECTOR_PAYLOAD = 8 };
enum { SECTOR_BYTES = IGE_LOG_HEADER_BYTES + SECTOR_PAYLOAD };

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t crc_of(uint32_t crc, const uint8_t *bytes, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
    }
    return ~crc;
}

static size_t padded(size_t size)
{
    return (size + 7) / 8 * 8;
}

/* The bytes of the record at `at`; 0: there is no whole one. */
static size_t record_bytes(const uint8_t *at, size_t left)
{
    if (left < IGE_LOG_HEADER_BYTES || ige_u16(at) != MAGIC) return 0;
    size_t size = ige_u16(at + 8);
    size_t whole = IGE_LOG_HEADER_BYTES + padded(size);
    if (whole > left) return 0;
    uint32_t crc = crc_of(crc_of(0, at, SUM_AT), at + IGE_LOG_HEADER_BYTES, size);
    return crc == ige_u32(at + SUM_AT) ? whole : 0;
}

size_t ige_record_write(uint8_t *out, uint8_t kind, uint32_t number, const void *payload,
                        size_t size)
{
    const uint8_t *bytes = payload;
    put(out, MAGIC, 2);
    out[2] = kind;
    out[3] = 0;
    put(out + 4, number, 4);
    put(out + 8, size, 4);
    for (size_t i = 0; i < padded(size); i++)
        out[IGE_LOG_HEADER_BYTES + i] = i < size ? bytes[i] : 0;
    put(out + SUM_AT, crc_of(crc_of(0, out, SUM_AT), out + IGE_LOG_HEADER_BYTES, size), 4);
    return IGE_LOG_HEADER_BYTES + padded(size);
}

static int is_erased(const uint8_t *at, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (at[i] != 0xff) return 0;
    return 1;
}

static const uint8_t *sector_at(const struct ige_log *log, size_t sector)
{
    return log->flash->sectors + sector * log->flash->sector_bytes;
}

uint32_t ige_log_number(const uint8_t *record)
{
    return ige_u32(record + 4);
}

/* ---- opening ---- */

static void know(struct ige_log *log, uint32_t next, uint32_t acked)
{
    if (next > log->next) log->next = next;
    if (acked > log->acked) log->acked = acked;
}

static void take(struct ige_log *log, const uint8_t *record)
{
    uint32_t number = ige_log_number(record);
    if (record[2] == SECTOR) {
        const uint8_t *payload = record + IGE_LOG_HEADER_BYTES;
        if (ige_u16(record + 8) == SECTOR_PAYLOAD)
            know(log, ige_u32(payload), ige_u32(payload + 4));
    } else if (record[2] == ACKED) {
        know(log, number + 1, number);
    } else {
        know(log, number + 1, 0);
    }
}

/* Reads a sector; gives where it can be written on, its size when it cannot. */
static size_t read_sector(struct ige_log *log, size_t sector)
{
    const uint8_t *at = sector_at(log, sector);
    size_t size = log->flash->sector_bytes, used = 0, bytes;
    if (!record_bytes(at, size) || at[2] != SECTOR) return size;
    while ((bytes = record_bytes(at + used, size - used)) != 0) {
        take(log, at + used);
        used += bytes;
    }
    return is_erased(at + used, size - used) ? used : size;
}

void ige_log_open(struct ige_log *log, const struct ige_log_flash *flash)
{
    log->flash = flash;
    log->next = 1;
    log->acked = log->number = 0;
    log->sector = 0;
    log->at = flash->sector_bytes;
    for (size_t s = 0; s < flash->sectors_count; s++) {
        size_t end = read_sector(log, s);
        const uint8_t *at = sector_at(log, s);
        if (!record_bytes(at, flash->sector_bytes) || at[2] != SECTOR) continue;
        if (ige_log_number(at) <= log->number) continue;
        log->number = ige_log_number(at);
        log->sector = s;
        log->at = end;
    }
}

/* ---- writing ---- */

static int write_record(struct ige_log *log, uint8_t kind, uint32_t number, const void *payload,
                        size_t size)
{
    uint8_t record[IGE_LOG_HEADER_BYTES + IGE_LOG_PAYLOAD_MAX];
    size_t bytes = ige_record_write(record, kind, number, payload, size);
    const uint8_t *place = sector_at(log, log->sector) + log->at;
    if (!log->flash->write(log->flash->context, place, record, bytes)) {
        log->at = log->flash->sector_bytes; /* something of it may be there */
        return 0;
    }
    log->at += bytes;
    return 1;
}

/* The next sector; what it held is gone. */
static int turn(struct ige_log *log)
{
    uint8_t payload[SECTOR_PAYLOAD];
    size_t next = log->number ? (log->sector + 1) % log->flash->sectors_count : 0;
    if (!log->flash->erase(log->flash->context, sector_at(log, next))) return 0;
    put(payload, log->next, 4);
    put(payload + 4, log->acked, 4);
    struct ige_log turned = *log;
    turned.sector = next;
    turned.at = 0;
    turned.number++;
    if (!write_record(&turned, SECTOR, turned.number, payload, sizeof payload)) return 0;
    *log = turned;
    return 1;
}

static int add(struct ige_log *log, uint8_t kind, uint32_t number, const void *payload, size_t size)
{
    size_t bytes = IGE_LOG_HEADER_BYTES + padded(size);
    if (size > IGE_LOG_PAYLOAD_MAX || bytes > log->flash->sector_bytes - SECTOR_BYTES) return 0;
    if (log->flash->sector_bytes - log->at < bytes && !turn(log)) return 0;
    return write_record(log, kind, number, payload, size);
}

int ige_log_add(struct ige_log *log, uint8_t kind, const void *payload, size_t size)
{
    if (!add(log, kind, log->next, payload, size)) return 0;
    log->next++;
    return 1;
}

int ige_log_ack(struct ige_log *log, uint32_t number)
{
    if (number <= log->acked) return 1;
    if (number == UINT32_MAX || !add(log, ACKED, number, "", 0)) return 0;
    know(log, number + 1, number);
    return 1;
}

const uint8_t *ige_log_find(const struct ige_log *log, uint32_t after, size_t *size)
{
    const uint8_t *best = NULL;
    size_t sector_bytes = log->flash->sector_bytes;
    for (size_t s = 0; s < log->flash->sectors_count; s++) {
        const uint8_t *at = sector_at(log, s);
        size_t used = 0, bytes;
        if (!record_bytes(at, sector_bytes) || at[2] != SECTOR) continue;
        while ((bytes = record_bytes(at + used, sector_bytes - used)) != 0) {
            const uint8_t *record = at + used;
            used += bytes;
            if (record[2] == SECTOR || record[2] == ACKED || ige_log_number(record) <= after ||
                (best && ige_log_number(record) >= ige_log_number(best)))
                continue;
            best = record;
            *size = bytes;
        }
    }
    return best;
}
