#include "panels.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

static size_t in_huge_pages(size_t num_bytes) {
    return (num_bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

/* In huge pages, because each step walks through all weights: in pages of 4 KiB, finding the pages
 * holds it up as much as reading them. Straight from the kernel, because malloc keeps for itself
 * what was freed, and sessions come and go. NULL if there is no memory. */
static uint8_t *zeros(size_t num_bytes) {
    size_t rounded = in_huge_pages(num_bytes);
    uint8_t *mapped = mmap(NULL, rounded + HUGE_PAGE, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return NULL;
    size_t before = -(uintptr_t)mapped % HUGE_PAGE;
    if (before) munmap(mapped, before);
    munmap(mapped + before + rounded, HUGE_PAGE - before);
    madvise(mapped + before, rounded, MADV_HUGEPAGE);
    return mapped + before;
}

Panels *panels_new(Multiply *multiply, size_t length, size_t columns, size_t width,
                   size_t panel_bytes) {
    size_t count = (columns + width - 1) / width;
    Panels *panels = malloc(sizeof(Panels));
    if (!panels) return NULL;
    *panels = (Panels){multiply, length, columns, count, panel_bytes, NULL};
    panels->memory = zeros(count * panel_bytes);
    return panels->memory ? panels : (free(panels), NULL);
}

void panels_free(Panels *panels) {
    munmap(panels->memory, in_huge_pages(panels->count * panels->panel_bytes));
    free(panels);
}
