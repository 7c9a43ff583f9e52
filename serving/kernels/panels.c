#include "panels.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

static pthread_mutex_t sharing = PTHREAD_MUTEX_INITIALIZER;
static Panels *shared; /* a list */

/* In huge pages, because each step walks through all weights: in pages of 4 KiB, finding the pages
 * holds it up as much as reading them. */
static uint8_t *zeros(size_t num_bytes) {
    size_t rounded = (num_bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    uint8_t *memory = aligned_alloc(HUGE_PAGE, rounded);
    if (!memory) return NULL;
    madvise(memory, rounded, MADV_HUGEPAGE);
    return memset(memory, 0, rounded);
}

Panels *panels_new(Multiply *multiply, size_t length, size_t columns, size_t width,
                   size_t panel_bytes) {
    size_t count = (columns + width - 1) / width;
    Panels *panels = malloc(sizeof(Panels));
    uint8_t *memory = zeros(count * panel_bytes);
    if (!panels || !memory) return free(panels), free(memory), NULL;
    *panels = (Panels){multiply, length, columns, count, panel_bytes, memory, 1, NULL};
    return panels;
}

void panels_free(Panels *panels) {
    free(panels->memory);
    free(panels);
}

static int equal(const Panels *one, const Panels *other) {
    size_t num_bytes = one->count * one->panel_bytes;
    return one->multiply == other->multiply && one->length == other->length &&
           one->columns == other->columns && !memcmp(one->memory, other->memory, num_bytes);
}

Panels *panels_shared(Panels *panels) {
    pthread_mutex_lock(&sharing);
    Panels *found = shared;
    while (found && !equal(found, panels)) found = found->next;
    if (found) {
        found->users++;
        panels_free(panels);
    } else {
        panels->next = shared;
        shared = found = panels;
    }
    pthread_mutex_unlock(&sharing);
    return found;
}

void panels_release(Panels *panels) {
    pthread_mutex_lock(&sharing);
    if (--panels->users == 0) {
        Panels **link = &shared;
        while (*link != panels) link = &(*link)->next;
        *link = panels->next;
        panels_free(panels);
    }
    pthread_mutex_unlock(&sharing);
}
