/* boardctl mkvol /dev/ubiN NAME: make one UBI volume of all the space there is.
 * boardctl attach MTDNUM | detach UBINUM: what ubiattach and ubidetach do. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

struct mkvol_req {		/* struct ubi_mkvol_req of the kernel's uapi */
	int32_t vol_id, alignment;
	int64_t bytes;
	int8_t vol_type;
	uint8_t flags;
	int16_t name_len;
	int8_t padding[4];
	char name[128];
} __attribute__((packed));

struct attach_req {
	int32_t ubi_num, mtd_num, vid_hdr_offset;
	int16_t max_beb_per1024;
	int8_t padding[10];
};

static long num(const char *dev, const char *attr)
{
	char p[256];
	long v = -1;
	FILE *f;

	snprintf(p, sizeof p, "/sys/class/ubi/%s/%s", strrchr(dev, '/') + 1, attr);
	if ((f = fopen(p, "r"))) {
		if (fscanf(f, "%ld", &v) != 1)
			v = -1;
		fclose(f);
	}
	return v;
}

int main(int argc, char **argv)
{
	struct mkvol_req r = { .vol_id = -1, .alignment = 1, .vol_type = 3 };
	int fd;

	if (argc == 3 && (!strcmp(argv[1], "attach") || !strcmp(argv[1], "detach"))) {
		struct attach_req a = { .ubi_num = 0, .mtd_num = atoi(argv[2]) };
		int32_t n = atoi(argv[2]);

		fd = open("/dev/ubi_ctrl", O_RDONLY);
		if (fd < 0 ||
			(argv[1][0] == 'a' ? ioctl(fd, _IOW('o', 64, struct attach_req), &a)
					   : ioctl(fd, _IOW('o', 65, int32_t), &n)) < 0)
			return fprintf(stderr, "boardctl: %s: %s\n", argv[1], strerror(errno)), 1;
		return 0;
	}
	if (argc != 4 || strcmp(argv[1], "mkvol"))
		return fprintf(stderr, "usage: boardctl mkvol /dev/ubiN NAME\n"), 2;
	r.bytes = (int64_t)num(argv[2], "avail_eraseblocks") * num(argv[2], "eraseblock_size");
	r.name_len = (int16_t)strlen(argv[3]);
	strcpy(r.name, argv[3]);
	fd = open(argv[2], O_RDONLY);
	if (fd < 0 || ioctl(fd, _IOW('o', 0, struct mkvol_req), &r) < 0)
		return fprintf(stderr, "boardctl: %s: %s\n", argv[2], strerror(errno)), 1;
	return 0;
}
