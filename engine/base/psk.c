/* SPDX-License-Identifier: MIT */
#include "psk.h"

#include "secret.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { LINE_SIZE = LB_PSK_IDENTITY_MAX + 1 + 2 * LB_PSK_KEY_MAX + 2 };

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, c | ' ') : NULL;

    return found ? (int)(found - digits) : -1;
}

/* Reads the key to the end of text. */
static bool read_key(struct lb_psk *psk, const char *text)
{
    size_t digits = strlen(text);

    if (digits % 2 || digits < 2 * LB_PSK_KEY_MIN || digits > 2 * LB_PSK_KEY_MAX)
        return false;
    for (psk->key_size = 0; psk->key_size < digits / 2; psk->key_size++) {
        int high = digit(text[2 * psk->key_size]), low = digit(text[2 * psk->key_size + 1]);

        if (high < 0 || low < 0)
            return false;
        psk->key[psk->key_size] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static bool read_identity(struct lb_psk *psk, const char *text, size_t size)
{
    if (size == 0 || size > LB_PSK_IDENTITY_MAX)
        return false;
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return false;
    memcpy(psk->identity, text, size);
    psk->identity[size] = '\0';
    return true;
}

/* Pages of their own: of ten thousand, a few MiB. */
static size_t room_of(size_t count)
{
    size_t room = 16;

    while (room < count)
        room *= 2;
    return room * sizeof(struct lb_psk);
}

/* In no dump, and not swapped where that much may be locked. */
static struct lb_psk *make_room(size_t count)
{
    void *pages =
        mmap(NULL, room_of(count), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (pages == MAP_FAILED)
        return NULL;
    madvise(pages, room_of(count), MADV_DONTDUMP);
    mlock(pages, room_of(count));
    return pages;
}

/* Returns room for one more, or NULL. */
static struct lb_psk *grow(struct lb_psk_list *list)
{
    size_t count = list->count;
    struct lb_psk *items = list->items;

    if (count == 0 || room_of(count) < room_of(count + 1)) {
        items = make_room(count + 1);
        if (!items)
            return NULL;
        if (count > 0)
            memcpy(items, list->items, count * sizeof(*items));
        lb_psk_done(list);
    }
    *list = (struct lb_psk_list){items, count + 1};
    return &items[count];
}

static int read_line(struct lb_psk_list *list, char *line, const char *path, unsigned number,
                     struct lb_error *error)
{
    const char *colon;
    struct lb_psk *psk;

    line[strcspn(line, "\r\n")] = '\0';
    if (!*line || *line == '#')
        return 0;
    colon = strchr(line, ':');
    psk = colon ? grow(list) : NULL;
    if (colon && !psk)
        return lb_error_set(error, -ENOMEM, "out of memory");
    if (!colon || !read_identity(psk, line, (size_t)(colon - line)) || !read_key(psk, colon + 1))
        return lb_error_set(error, -EBADMSG,
                            "%s:%u: not IDENTITY:HEXKEY; a key has 32 to 128 hexadecimal digits "
                            "(openssl rand -hex 32)",
                            path, number);
    return 0;
}

/* A key that somebody else has read lets that one in. */
static int check(FILE *file, const char *path, struct lb_error *error)
{
    struct stat status;

    if (fstat(fileno(file), &status) < 0)
        return lb_error_set(error, -errno, "%s: %s", path, strerror(errno));
    if (lb_secret_is_exposed(&status))
        return lb_error_set(error, -EPERM,
                            "%s: others can read or write it; make new keys, and chmod 600 it",
                            path);
    return 0;
}

int lb_psk_read(struct lb_psk_list *list, const char *path, struct lb_error *error)
{
    char line[LINE_SIZE + 1];
    FILE *file = fopen(path, "re");
    int rc;

    *list = (struct lb_psk_list){0};
    if (!file)
        return lb_error_set(error, -errno, "%s: %s", path, strerror(errno));
    setvbuf(file, NULL, _IONBF, 0); /* no buffer that keeps them */
    rc = check(file, path, error);
    for (unsigned number = 1; rc == 0 && fgets(line, sizeof(line), file); number++)
        rc = read_line(list, line, path, number, error);
    explicit_bzero(line, sizeof(line));
    fclose(file);
    if (rc == 0 && list->count == 0)
        rc = lb_error_set(error, -EBADMSG, "%s: has no line IDENTITY:HEXKEY", path);
    if (rc < 0)
        lb_psk_done(list);
    return rc;
}

void lb_psk_done(struct lb_psk_list *list)
{
    if (list->items) {
        explicit_bzero(list->items, room_of(list->count));
        munmap(list->items, room_of(list->count));
    }
    *list = (struct lb_psk_list){0};
}

const struct lb_psk *lb_psk_find(const struct lb_psk_list *list, const void *identity, size_t size)
{
    const struct lb_psk *found = NULL;

    for (size_t i = 0; i < list->count; i++)
        if (strlen(list->items[i].identity) == size &&
            memcmp(list->items[i].identity, identity, size) == 0)
            found = &list->items[i];
    return found;
}
