#include "wear.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES 65536
static struct wear {
	char path[48];
	uint64_t programs, blocks, most;
	uint32_t *block;
	size_t cap;
} *wear;

static struct wear *wear_of(const char *path)
{
	uint32_t at = 2166136261u;

	for (const char *c = path; *c; c++)
		at = (at ^ (uint8_t)*c) * 16777619u;
	for (at %= FILES; wear[at].path[0] && strcmp(wear[at].path, path) != 0;)
		at = (at + 1) % FILES;
	snprintf(wear[at].path, sizeof wear[at].path, "%s", path);
	return &wear[at];
}

void wear_program(const char *path, uint64_t block)
{
	struct wear *w = wear_of(path);

	if (block >= w->cap) {
		size_t cap = (size_t)block * 2 + 16;

		w->block = realloc(w->block, cap * sizeof *w->block);
		memset(w->block + w->cap, 0, (cap - w->cap) * sizeof *w->block);
		w->cap = cap;
	}
	w->programs++;
	w->blocks += w->block[block]++ == 0;
	if (w->block[block] > w->most)
		w->most = w->block[block];
}

void wear_tell(const char *what, const char *part)
{
	uint64_t files = 0, programs = 0, blocks = 0, most = 0;
	double worst = 0;

	for (size_t i = 0; i < FILES; i++) {
		const struct wear *w = &wear[i];

		if (!w->path[0] || !strstr(w->path, part))
			continue;
		files++;
		programs += w->programs;
		blocks += w->blocks;
		most = w->most > most ? w->most : most;
		if ((double)w->programs / (double)w->blocks > worst)
			worst = (double)w->programs / (double)w->blocks;
	}
	if (files)
		printf("#   %-14s %6" PRIu64 " files, %8" PRIu64
		       " blocks programmed, each %6.2f times on average, %6.2f in "
		       "the worst file, %" PRIu64 " the worst block\n",
			what, files, programs, (double)programs / (double)blocks, worst, most);
}

void wear_begin(void)
{
	wear = calloc(FILES, sizeof *wear);
}

void wear_end(void)
{
	for (size_t i = 0; i < FILES; i++)
		free(wear[i].block);
	free(wear);
	wear = NULL;
}
