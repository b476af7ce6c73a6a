/* snprintf without floating point, in the place of musl's. The routers that this
 * board stands for have no floating-point unit, and their kernels often no
 * emulation of one; Debian's musl is built for machines that have it, and its
 * printf saves floating-point registers at entry, whatever it prints. With this
 * file, no such instruction is left in our programs (the system tests run them
 * on an emulated processor without the unit).
 *
 * Conversions: d i u x X o c s p %, with the flags - 0 + space #, width,
 * precision, and the lengths hh h l ll z j t. Another one ends the output. */
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { LEFT = 1, ZERO = 2, PLUS = 4, SPACE = 8, ALTERNATE = 16, NEGATIVE = 32, UPPER = 64 };

struct out {
	char *to;
	size_t cap, len; /* len counts what did not fit as well */
};

struct spec {
	unsigned flags;
	int width, precision; /* precision -1: none given */
	char length;          /* 'H' is hh, 'L' is ll, 0 is int */
	char kind;
};

static void put(struct out *o, const char *text, size_t n)
{
	if (o->len < o->cap)
		memcpy(o->to + o->len, text, n < o->cap - o->len ? n : o->cap - o->len);
	o->len += n;
}

static void fill(struct out *o, char c, int n)
{
	while (n-- > 0)
		put(o, &c, 1);
}

static void put_padded(struct out *o, const struct spec *s, const char *text, size_t n)
{
	int pad = (size_t)s->width > n ? s->width - (int)n : 0;

	if (!(s->flags & LEFT))
		fill(o, ' ', pad);
	put(o, text, n);
	if (s->flags & LEFT)
		fill(o, ' ', pad);
}

static size_t sign_of(const struct spec *s, char sign[2])
{
	bool is_signed = s->kind == 'd';

	sign[0] = '0';
	sign[1] = s->flags & UPPER ? 'X' : 'x';
	if (s->kind == 'x')
		return s->flags & ALTERNATE ? 2 : 0;
	sign[0] = s->flags & NEGATIVE ? '-' : s->flags & PLUS ? '+' : ' ';
	return is_signed && s->flags & (NEGATIVE | PLUS | SPACE) ? 1 : 0;
}

static void put_number(struct out *o, const struct spec *s, uint64_t value)
{
	const char *names = s->flags & UPPER ? "0123456789ABCDEF" : "0123456789abcdef";
	unsigned base = s->kind == 'x' ? 16 : s->kind == 'o' ? 8 : 10;
	char digits[24], sign[2];
	size_t at = sizeof digits, signs = value || s->kind != 'x' ? sign_of(s, sign) : 0;
	int n, zeros, pad;

	for (; value; value /= base)
		digits[--at] = names[value % base];
	n = (int)(sizeof digits - at);
	zeros = s->precision >= 0 ? s->precision - n : n == 0;
	if (s->kind == 'o' && s->flags & ALTERNATE && zeros <= 0)
		zeros = 1;
	if (zeros < 0)
		zeros = 0;
	pad = s->width - n - zeros - (int)signs;
	if (s->flags & ZERO && !(s->flags & LEFT) && s->precision < 0 && pad > 0) {
		zeros += pad;
		pad = 0;
	}
	if (!(s->flags & LEFT))
		fill(o, ' ', pad);
	put(o, sign, signs);
	fill(o, '0', zeros);
	put(o, digits + at, (size_t)n);
	if (s->flags & LEFT)
		fill(o, ' ', pad);
}

static const char *parse_flags(struct spec *s, const char *f)
{
	static const char flags[] = "-0+ #";
	const char *flag;

	for (; *f && (flag = strchr(flags, *f)) != NULL; f++)
		s->flags |= 1u << (flag - flags);
	return f;
}

static const char *parse_int(int *n, const char *f)
{
	for (*n = 0; *f >= '0' && *f <= '9'; f++)
		*n = *n * 10 + (*f - '0');
	return f;
}

static const char *parse_length(struct spec *s, const char *f)
{
	if (!*f || !strchr("hlzjt", *f))
		return f;
	s->length = *f++;
	if (*f == s->length && (*f == 'h' || *f == 'l'))
		s->length = *f++ == 'h' ? 'H' : 'L';
	return f;
}

/* A va_list may be an array: a struct around it can be passed on by address. */
struct args {
	va_list list;
};

static int64_t take_signed(struct args *a, char length)
{
	switch (length) {
	case 'l':
		return va_arg(a->list, long);
	case 'L':
		return va_arg(a->list, long long);
	case 'j':
		return va_arg(a->list, intmax_t);
	case 'z':
	case 't':
		return va_arg(a->list, ptrdiff_t);
	case 'h':
		return (short)va_arg(a->list, int);
	case 'H':
		return (signed char)va_arg(a->list, int);
	default:
		return va_arg(a->list, int);
	}
}

static uint64_t take_unsigned(struct args *a, char length)
{
	switch (length) {
	case 'l':
		return va_arg(a->list, unsigned long);
	case 'L':
		return va_arg(a->list, unsigned long long);
	case 'j':
		return va_arg(a->list, uintmax_t);
	case 'z':
	case 't':
		return va_arg(a->list, size_t);
	case 'h':
		return (unsigned short)va_arg(a->list, unsigned);
	case 'H':
		return (unsigned char)va_arg(a->list, unsigned);
	default:
		return va_arg(a->list, unsigned);
	}
}

static void put_text(struct out *o, const struct spec *s, const char *text)
{
	size_t n = 0, max = s->precision < 0 ? SIZE_MAX : (size_t)s->precision;

	if (!text)
		text = "(null)";
	while (n < max && text[n])
		n++;
	put_padded(o, s, text, n);
}

static void put_signed(struct out *o, struct spec *s, int64_t value)
{
	s->kind = 'd';
	if (value < 0)
		s->flags |= NEGATIVE;
	put_number(o, s, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

/* False at a conversion that is not known. */
static bool convert(struct out *o, struct spec *s, struct args *a)
{
	char c;

	switch (s->kind) {
	case '%':
		put(o, "%", 1);
		return true;
	case 'c':
		c = (char)va_arg(a->list, int);
		put_padded(o, s, &c, 1);
		return true;
	case 's':
		put_text(o, s, va_arg(a->list, const char *));
		return true;
	case 'd':
	case 'i':
		put_signed(o, s, take_signed(a, s->length));
		return true;
	case 'p':
		s->flags |= ALTERNATE;
		s->kind = 'x';
		put_number(o, s, (uintptr_t)va_arg(a->list, void *));
		return true;
	case 'X':
		s->flags |= UPPER;
		s->kind = 'x';
		break;
	case 'u':
	case 'x':
	case 'o':
		break;
	default:
		return false;
	}
	put_number(o, s, take_unsigned(a, s->length));
	return true;
}

static const char *parse_spec(struct spec *s, const char *f, struct args *a)
{
	*s = (struct spec){ .precision = -1 };
	f = parse_flags(s, f);
	if (*f == '*') {
		s->width = va_arg(a->list, int);
		f++;
		if (s->width < 0) {
			s->flags |= LEFT;
			s->width = -s->width;
		}
	} else {
		f = parse_int(&s->width, f);
	}
	if (*f == '.' && *++f == '*') {
		s->precision = va_arg(a->list, int);
		f++;
	} else if (f[-1] == '.') {
		f = parse_int(&s->precision, f);
	}
	f = parse_length(s, f);
	s->kind = *f ? *f++ : 0;
	return f;
}

int vsnprintf(char *restrict to, size_t cap, const char *restrict format, va_list list)
{
	struct out o = { to, cap ? cap - 1 : 0, 0 };
	struct args a;
	struct spec s;

	va_copy(a.list, list);
	while (*format) {
		size_t n = strcspn(format, "%");

		put(&o, format, n);
		format += n;
		if (!*format)
			break;
		format = parse_spec(&s, format + 1, &a);
		if (!convert(&o, &s, &a))
			break;
	}
	va_end(a.list);
	if (cap)
		to[o.len < cap ? o.len : cap - 1] = '\0';
	return (int)o.len;
}

int snprintf(char *restrict to, size_t cap, const char *restrict format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(to, cap, format, list);
	va_end(list);
	return n;
}
