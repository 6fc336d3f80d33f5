/* SPDX-License-Identifier: BSD-2-Clause */
#include "client/intake.h"

#include <stdlib.h>
#include <string.h>

enum {
    MARKS_MAX = 32, /* INTAKE_PARTS, and some for messages larger than a part */
};

/* The end of a message, as numbers of three kinds. */
struct mark {
    uint64_t seq;
    uint64_t cost;
    uint64_t sent;
};

struct intake_marks {
    unsigned n;
    struct mark marks[MARKS_MAX]; /* oldest first */
};

void
intake_deinit(struct intake *intake)
{
    free(intake->marks);
    intake->marks = NULL;
}

enum intake_verdict
intake_judge(const struct intake *intake, uint64_t seq, size_t len)
{
    uint64_t waiting = intake->received_cost - intake->consumed_cost;

    if (seq <= intake->received)
        return INTAKE_REPEATED;
    if (seq > intake->received + 1)
        return INTAKE_GAP;
    return waiting > 0 && waiting + len + INTAKE_OVERHEAD > intake->window ? INTAKE_OVERRUN
                                                                           : INTAKE_NEXT;
}

static void
consume(struct intake *intake, const struct mark *mark)
{
    intake->consumed = mark->seq;
    intake->consumed_cost = mark->cost;
}

/* Without memory, or without a place, the client is told a little later. */
void
intake_mark(struct intake *intake)
{
    struct intake_marks *marks = intake->marks;

    intake->marked_cost = intake->received_cost;
    if (marks == NULL)
        marks = intake->marks = calloc(1, sizeof *marks);
    if (marks == NULL || marks->n == MARKS_MAX)
        return;
    marks->marks[marks->n++] = (struct mark){intake->received, intake->received_cost, intake->sent};
}

void
intake_taken(struct intake *intake, size_t waiting)
{
    struct intake_marks *marks = intake->marks;
    unsigned n = 0;

    if (waiting == SIZE_MAX)
        return;
    if (waiting == 0) {
        consume(intake, &(struct mark){intake->received, intake->received_cost, 0});
        intake->marked_cost = intake->received_cost;
        intake_deinit(intake);
        return;
    }
    while (marks != NULL && n < marks->n && marks->marks[n].sent + waiting <= intake->sent)
        consume(intake, &marks->marks[n++]);
    if (n == 0)
        return;
    marks->n -= n;
    memmove(marks->marks, marks->marks + n, marks->n * sizeof *marks->marks);
    if (marks->n == 0)
        intake_deinit(intake);
}
