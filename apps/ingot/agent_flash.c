/* SPDX-License-Identifier: Apache-2.0 */
/* A file that stands for flash. What was written to slots is on disk before a record that speaks of
 * it, and a record before anything after it, so the machine may stop at any time. */
#include "agent.h"

#include "base/file.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const char NAME[] = "flash";

static int put(struct agent_flash *flash, const uint8_t *place, const void *bytes, size_t size)
{
    off_t at = place - flash->map;
    while (size) {
        ssize_t done = pwrite(flash->fd, bytes, size, at);
        if (done <= 0) return 0;
        at += done;
        bytes = (const char *)bytes + done;
        size -= (size_t)done;
    }
    return 1;
}

static int sync_file(struct agent_flash *flash)
{
    flash->dirty = false;
    return fdatasync(flash->fd) == 0;
}

static int fill(struct agent_flash *flash, const uint8_t *place, size_t size)
{
    uint8_t erased[4096];
    memset(erased, 0xff, sizeof erased);
    for (size_t at = 0; at < size; at += sizeof erased)
        if (!put(flash, place + at, erased, size - at < sizeof erased ? size - at : sizeof erased))
            return 0;
    return 1;
}

static bool in_slots(const struct agent_flash *flash, const uint8_t *place)
{
    return place < flash->slots.records[0];
}

static int erase(void *context, const uint8_t *sector)
{
    struct agent_flash *flash = context;
    if (in_slots(flash, sector)) {
        flash->dirty = true;
        return fill(flash, sector, AGENT_SECTOR_BYTES);
    }
    bool record = sector < flash->log.sectors;
    return fill(flash, sector, record ? AGENT_RECORDS_BYTES : AGENT_LOG_SECTOR_BYTES) &&
           sync_file(flash);
}

static int write_bytes(void *context, const uint8_t *place, const void *bytes, size_t size)
{
    struct agent_flash *flash = context;
    if (in_slots(flash, place)) {
        flash->dirty = true;
        return put(flash, place, bytes, size);
    }
    if (flash->dirty && !sync_file(flash)) return 0;
    return put(flash, place, bytes, size) && sync_file(flash);
}

static void lay_out(struct agent_flash *flash, size_t slot_bytes)
{
    const uint8_t *map = flash->map, *records = map + 2 * slot_bytes;
    flash->slots = (struct ige_flash){
        .slots = {map, map + slot_bytes},
        .records = {records, records + AGENT_RECORDS_BYTES},
        .slot_bytes = slot_bytes,
        .sector_bytes = AGENT_SECTOR_BYTES,
        .records_bytes = AGENT_RECORDS_BYTES,
        .erase = erase,
        .write = write_bytes,
        .context = flash,
    };
    flash->log = (struct ige_log_flash){
        .sectors = records + (size_t)2 * AGENT_RECORDS_BYTES,
        .sector_bytes = AGENT_LOG_SECTOR_BYTES,
        .sectors_count = AGENT_LOG_SECTORS,
        .erase = erase,
        .write = write_bytes,
        .context = flash,
    };
}

/* A new file is filled beside its place, so that it is whole or not there. */
static enum ig_code make(int dirfd, size_t bytes, struct ig_err *err)
{
    struct ig_buf erased;
    ig_buf_init(&erased, bytes);
    if (ig_buf_reserve(&erased, bytes)) {
        memset(erased.ptr, 0xff, bytes);
        erased.len = bytes;
        ig_file_replace(dirfd, NAME, ig_buf_view(&erased), err);
    } else {
        ig_fail(err, IG_NO_MEMORY, "no memory for a flash of %zu bytes", bytes);
    }
    ig_buf_deinit(&erased);
    return err->code;
}

enum ig_code ig_agent_flash_open(struct agent_flash *flash, int dirfd, size_t slot_bytes,
                                 struct ig_err *err)
{
    struct stat info;
    size_t bytes = 2 * slot_bytes + (size_t)2 * AGENT_RECORDS_BYTES +
                   (size_t)AGENT_LOG_SECTORS * AGENT_LOG_SECTOR_BYTES;
    flash->fd = openat(dirfd, NAME, O_RDWR | O_CLOEXEC);
    if (flash->fd < 0) {
        if (make(dirfd, bytes, err) != IG_OK) return err->code;
        flash->fd = openat(dirfd, NAME, O_RDWR | O_CLOEXEC);
    }
    if (flash->fd < 0 || fstat(flash->fd, &info) != 0)
        return ig_fail(err, IG_IO, "--dir: its flash cannot be opened");
    if (flock(flash->fd, LOCK_EX | LOCK_NB) != 0)
        return ig_fail(err, IG_CONFLICT, "--dir: another agent is using it");
    if ((size_t)info.st_size != bytes)
        return ig_fail(err, IG_INVALID,
                       "--dir: its flash has %lld bytes, expected %zu: --slot-kb is another than "
                       "before",
                       (long long)info.st_size, bytes);
    void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, flash->fd, 0);
    if (map == MAP_FAILED) return ig_fail(err, IG_IO, "--dir: its flash cannot be mapped");
    flash->map = map;
    flash->bytes = bytes;
    lay_out(flash, slot_bytes);
    return IG_OK;
}

void ig_agent_flash_close(struct agent_flash *flash)
{
    if (flash->map) munmap(flash->map, flash->bytes);
    flash->map = NULL;
    ig_file_close(&flash->fd);
}
