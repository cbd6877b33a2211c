# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1. From four formulas to a trained network
#
# By the end of this page you will have trained a network that tells CT patches with a lung nodule from patches without
# one. You will have done it twice: first by hand, so that you have seen every number move, then in ten lines.
#
# You need Python, a little NumPy, and the chain rule. Nothing else is assumed. In particular you need never have seen
# a *backward pass*: section 1 derives one.
#
# | formula | where it stands | what it does | section |
# |---|---|---|---|
# | D4-1 | article D4, §3.1.1 | convolution: look for a small pattern everywhere | 1 |
# | D4-2 | article D4, §3.1.2 | pooling: keep what matters of each small window | 2 |
# | D4-3 | article D4, §3.1.3 | softmax: scores become probabilities | 3 |
# | D0-1 | article D0, §4 | cross-entropy: how wrong the probabilities are | 3 |
# | D0-2 | article D0, §4 | the update: get a little less wrong | 4 |
#
# (D0 to D4 are the five articles that this course goes with.) **Every formula shown here is checked by code on this
# page.** Where you see `assert`, a claim is being tested; if it were false, the page would stop there.

# %%
import matplotlib.pyplot as plt
import numpy as np
from lesson import BLUE, GREEN, GREY, ORANGE, RED, check, draw_matrices, set_style
from scipy.signal import convolve2d

from tinymed import Input, Sequential, datasets, layers, losses, metrics, ops, optimizers, plots, set_seed

set_style()

# %% [markdown]
# ## 0. The question
#
# A CT scan is a stack of slices. A *patch* is a small piece of it: 64×64 pixels in three neighbouring slices. Some
# patches contain a nodule, a small round growth. All contain vessels, and those are just as bright.
#
# Look at the two patches below, one row each. In the upper row a round spot is largest in the middle slice and smaller
# in the slices above and below: it ends. In the lower row everything bright is a vessel. The thick one lies along the
# middle slice; where it leaves the slice, the next one shows its cross-section, a dot.

# %%
images, labels = datasets.phantoms.nodules(64, seed=5)
with_nodule, without_nodule = 48, 20
assert labels[with_nodule] == 1
assert labels[without_nodule] == 0

fig, axes = plt.subplots(2, 3, figsize=(7.4, 5.2))
for row, (number, name) in enumerate([(with_nodule, "with a nodule"), (without_nodule, "without")]):
    for slice_number, ax in enumerate(axes[row]):
        ax.imshow(images[number, :, :, slice_number], cmap="gray", vmin=0, vmax=1)
        ax.set_title(f"{name}, slice {slice_number + 1}", loc="center", fontsize=11)
        ax.set_axis_off()
for ax in axes[0]:
    ax.annotate("", (38, 43), (54, 43), arrowprops={"color": ORANGE, "width": 2, "headwidth": 9})
plt.show()

print("one patch:", images[with_nodule].shape, images.dtype, "from", images.min(), "to", images.max())

# %% [markdown]
# These patches are *phantoms*: a program draws them. They are good for learning, and of no use in a clinic. We come
# back to that at the end.
#
# ## 1. Convolution: look for a small pattern everywhere
#
# Formula D4-1 says how a convolution layer makes an image $y$ from an image $x$ and a small matrix of weights $k$, the
# *kernel*:
#
# $$y_{ij} = \sum_{p=0}^{P-1} \sum_{q=0}^{Q-1} x_{i+p,\,j+q} \; k_{pq}$$
#
# In words: lay the kernel on the image with its corner at $(i, j)$, multiply what lies on top of each other, add up.
# Each of the four letters becomes one loop.


# %%
def convolve(x, k):
    (H, W), (P, Q) = x.shape, k.shape
    y = np.zeros((H - P + 1, W - Q + 1))
    for i in range(H - P + 1):
        for j in range(W - Q + 1):
            for p in range(P):
                for q in range(Q):
                    y[i, j] += x[i + p, j + q] * k[p, q]
    return y


x = np.array([[0.0, 0, 0, 0], [0, 1, 2, 0], [0, 3, 4, 0], [0, 0, 0, 0]])
k = np.array([[0.0, 1], [2, 3]])
y = convolve(x, k)

draw_matrices(
    {"values": x, "title": "image x", "frame": (1, 1, 2, 2)},
    "∗",
    {"values": k, "title": "kernel k"},
    "=",
    {"values": y, "title": "output y", "tint": [(1, 1)]},
)
plt.show()

# %% [markdown]
# Check two numbers in your head. The framed window holds 1, 2, 3, 4 and gives the orange square:
# $1\cdot0 + 2\cdot1 + 3\cdot2 + 4\cdot3 = 20$. The window in the upper left corner holds a single 1, which lies under
# the 3.
#
# The output is one smaller than the image in both directions, because the kernel must lie on the image as a whole.
# This is called *valid*.
#
# tinymed has the same operation as `ops.conv2d`. It works on many images at once, so it wants two more axes: images
# are `(N, H, W, C)`, that is number, height, width, channels, and kernels are `(KH, KW, C, F)` with `F` kernels
# ("filters") side by side. It returns two things. The second, the `cache`, is what we shall need on the way back.

# %%
assert y[1, 1] == 1 * 0 + 2 * 1 + 3 * 2 + 4 * 3 == 20
assert y[0, 0] == 1 * 3

y_op, cache = ops.conv2d(x.reshape(1, 4, 4, 1), k.reshape(2, 2, 1, 1))
assert np.array_equal(y_op[0, :, :, 0], y)
print(y_op[0, :, :, 0])

# %% [markdown]
# **What the formula leaves out.** It is right as it stands, for one channel, without a bias, and *valid*. A real layer
# has several channels $c$, several filters $f$, and adds one number $b_f$ to each channel of the output:
#
# $$y_{ijf} = \sum_{p} \sum_{q} \sum_{c} x_{i+p,\,j+q,\,c} \; k_{pqcf} + b_f$$
#
# **What it is called.** Mathematicians turn the kernel upside down and back to front before they slide it, and call
# only that *convolution*. Ours is *cross-correlation*. As the weights are learned, nobody can tell the difference.

# %%
rng = np.random.default_rng(1)
many = rng.standard_normal((2, 7, 6, 3))  # 2 images, 7x6 pixels, 3 channels
kernel, bias = rng.standard_normal((3, 2, 3, 4)), rng.standard_normal(4)  # 4 filters of 3x2 pixels

by_loops = np.zeros((2, 5, 5, 4))
for n, i, j, f in np.ndindex(by_loops.shape):
    by_loops[n, i, j, f] = np.sum(many[n, i : i + 3, j : j + 2, :] * kernel[:, :, :, f]) + bias[f]
assert np.allclose(ops.conv2d(many, kernel, bias)[0], by_loops)

turned = k[::-1, ::-1]
assert np.allclose(convolve2d(x, turned, mode="valid"), y)  # SciPy's convolution turns it back
print("two images, three channels, four filters:", by_loops.size, "numbers, all equal")

# %% [markdown]
# ### What a filter sees
#
# Training will choose the kernels. But we can choose one ourselves, to see what a kernel is for. This one compares the
# inside of a disk with a ring around it: it answers strongly where something round and bright stands alone.

# %%
distance = np.hypot(*(np.mgrid[-7:8, -7:8]))
inside, ring = distance < 4, (distance >= 4.5) & (distance < 7)
spot = inside / inside.sum() - ring / ring.sum()

pair = images[[with_nodule, without_nodule], :, :, 1:2].astype("float64")  # the middle slices
answers, _ = ops.conv2d(pair, spot.reshape(15, 15, 1, 1))

fig, axes = plt.subplots(1, 5, figsize=(10, 2.5))
axes[0].imshow(spot, cmap="PuOr_r", vmin=-0.03, vmax=0.03)
axes[0].set_title("the kernel", loc="center", fontsize=11)
for i, name in enumerate(["with", "without"]):
    axes[1 + 2 * i].imshow(pair[i, :, :, 0], cmap="gray", vmin=0, vmax=1)
    axes[1 + 2 * i].set_title(name, loc="center", fontsize=11)
    axes[2 + 2 * i].imshow(answers[i, :, :, 0], cmap="gray", vmin=0, vmax=answers.max())
    axes[2 + 2 * i].set_title(f"answer, at most {answers[i].max():.2f}", loc="center", fontsize=11)
for ax in axes:
    ax.set_axis_off()
plt.show()
assert answers[0].max() > answers[1].max()

# %% [markdown]
# ### How it becomes fast: im2col
#
# Four nested loops are slow in Python. So tinymed first writes what each window sees into one row of a matrix. That
# step is called *im2col* ("image to columns"). Then the two inner sums are one matrix product, the thing that
# computers do best: $y = X k$, with $X$ the matrix of windows and $k$ the kernel as one column.

# %%
X, _ = ops.im2col(x.reshape(1, 4, 4, 1), (2, 2))
X = X.reshape(9, 4)  # nine windows, four pixels each
assert np.array_equal((X @ k.reshape(4, 1)).reshape(3, 3), y)

draw_matrices(
    {"values": x, "title": "image x", "frame": (1, 1, 2, 2)},
    "→",
    {"values": X, "title": "X: a row per window", "frame": (4, 0, 1, 4)},
    "·",
    {"values": k.reshape(4, 1), "title": "k"},
    "=",
    {"values": y.reshape(9, 1), "title": "y", "tint": [(4, 0)]},
    cell=0.44,
)
plt.show()

# %% [markdown]
# ### The way back
#
# Training means: change the weights a little so that the *loss* $L$ gets smaller. The loss is one number that says how
# wrong the network is; section 3 chooses it. To know which way to change a weight we need the slope
# $\partial L / \partial k_{pq}$ for every weight.
#
# A network is a chain of steps, and so the chain rule does it, one step at a time, from the end to the beginning. Each
# step is *given* the slopes for its output, and *returns* the slopes for its inputs. In code, slopes have a `d` in
# front of the name: `dy` is $\partial L / \partial y$, one number for each number in `y`.
#
# For the convolution: $k_{pq}$ appears in every $y_{ij}$, with the factor $x_{i+p,\,j+q}$. It acts on $L$ through all
# of them, so its slope is the sum
#
# $$\frac{\partial L}{\partial k_{pq}} = \sum_{i} \sum_{j} \frac{\partial L}{\partial y_{ij}} \; x_{i+p,\,j+q}$$
#
# and in the same way the slope of a pixel is a sum over the outputs that saw it. Put into loops, something pleasant
# appears. They are the loops of the forward pass; only the multiplication is read the other way round.


# %%
def convolve_backward(dy, x, k):
    dx, dk = np.zeros_like(x), np.zeros_like(k)
    for i in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            for p in range(k.shape[0]):
                for q in range(k.shape[1]):
                    # forward: y[i, j] += x[i + p, j + q] * k[p, q]
                    dx[i + p, j + q] += dy[i, j] * k[p, q]
                    dk[p, q] += dy[i, j] * x[i + p, j + q]
    return dx, dk


dy = rng.standard_normal(y.shape)
dx, dk = convolve_backward(dy, x, k)

dx_op, dk_op, _ = ops.conv2d_backward(dy.reshape(1, 3, 3, 1), cache)
assert np.allclose(dx_op[0, :, :, 0], dx)
assert np.allclose(dk_op[:, :, 0, 0], dk)

# %% [markdown]
# Two programs agree. They could both be wrong. So we also *measure* the slope: wiggle one number up and down a little,
# and see how the loss moves.
#
# $$\frac{\partial L}{\partial a} \approx \frac{L(a + h) - L(a - h)}{2h}$$
#
# We need some loss for this. The simplest one whose slopes are the `dy` that we gave is
# $L = \sum_{ij} dy_{ij}\, y_{ij}$: imagine that this is what the rest of the network does with $y$. The numbers in
# `dy` are random. Section 3 shows why that matters.


# %%
def measured_slope(loss, a, h=1e-6):
    """Return dloss/da, one number of the array a at a time."""
    slope = np.zeros_like(a)
    for place in np.ndindex(a.shape):
        up, down = a.copy(), a.copy()
        up[place] += h
        down[place] -= h
        slope[place] = (loss(up) - loss(down)) / (2 * h)
    return slope


assert np.allclose(measured_slope(lambda k: np.sum(dy * convolve(x, k)), k), dk)
assert np.allclose(measured_slope(lambda x: np.sum(dy * convolve(x, k)), x), dx)
print("dk\n", dk.round(3), "\nmeasured\n", measured_slope(lambda k: np.sum(dy * convolve(x, k)), k).round(3))

# %% [markdown]
# That is a backward pass, derived, programmed and measured. All others on this page follow the same pattern.
#
# ## 2. Pooling: keep what matters of each window
#
# Formula D4-2 makes an image smaller. For each window $k$ of pixels it keeps one number, the largest or the mean of
# the $N$ pixels in the window:
#
# $$z_k = \max\{x_{ij}\} \qquad \text{or} \qquad z_k = \frac{1}{N} \sum x_{ij}$$
#
# Here a window is 2×2 pixels, so $N = 4$, and the windows lie side by side without overlapping.

# %%
x = np.array([[1.0, 5, 2, 0], [3, 2, 8, 1], [4, 4, 1, 1], [0, 2, 6, 9]])
largest, mean = np.zeros((2, 2)), np.zeros((2, 2))
for i in range(2):
    for j in range(2):
        window = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        largest[i, j] = max(window.flat)
        mean[i, j] = sum(window.flat) / 4

image = x.reshape(1, 4, 4, 1)
z_max, cache_max = ops.max_pool2d(image, (2, 2))
z_mean, cache_mean = ops.average_pool2d(image, (2, 2))
assert np.array_equal(z_max[0, :, :, 0], largest)
assert np.array_equal(z_mean[0, :, :, 0], mean)
assert largest[0, 0] == 5
assert mean[0, 0] == (1 + 5 + 3 + 2) / 4 == 2.75

# %% [markdown]
# ### Who gets the gradient?
#
# Ask what happens to $z_k$ if one pixel grows a little.
#
# * **Maximum.** If the pixel is the largest of its window, $z_k$ grows by just as much. If not, nothing happens. So the
#   winner gets all of `dz`, the others get nothing. Lower left, two fours tie: the first one, in reading order, takes
#   all. (At a tie there is no slope; any rule will do, as long as it is always the same.)
# * **Mean.** Each pixel counts for a quarter, so each gets a quarter.

# %%
dz = np.array([[10.0, 20], [30, 40]])
dx_max = ops.max_pool2d_backward(dz.reshape(1, 2, 2, 1), cache_max)[0, :, :, 0]
dx_mean = ops.average_pool2d_backward(dz.reshape(1, 2, 2, 1), cache_mean)[0, :, :, 0]

winners = [(0, 1), (1, 2), (2, 0), (3, 3)]
assert all(dx_max[place] == value for place, value in zip(winners, dz.flat, strict=True))
assert dx_max.sum() == dx_mean.sum() == dz.sum()  # nothing is lost on the way
assert np.array_equal(dx_mean, np.kron(dz, np.full((2, 2), 1 / 4)))

draw_matrices(
    {"values": x, "title": "x, winners tinted", "tint": winners},
    {"values": dz, "title": "dz, given"},
    {"values": dx_max, "title": "dx of the maximum", "tint": winners},
    {"values": dx_mean, "title": "dx of the mean"},
)
plt.show()

# %% [markdown]
# And measured, on random numbers, where nothing ties:

# %%
x = rng.standard_normal((1, 4, 4, 1))
dz = rng.standard_normal((1, 2, 2, 1))
for forward, backward in [
    (ops.max_pool2d, ops.max_pool2d_backward),
    (ops.average_pool2d, ops.average_pool2d_backward),
]:
    _, cache = forward(x, (2, 2))
    measured = measured_slope(lambda x, pool=forward: np.sum(dz * pool(x, (2, 2))[0]), x)
    assert np.allclose(backward(dz, cache), measured)
    print(forward.__name__, "agrees with its measured slopes")

# %% [markdown]
# ## 3. From scores to a loss
#
# ### Softmax, as written
#
# The last layer gives one score $z_c$ for each class $c$ (in D4-3 the score is $w_c^T x + b_c$). Softmax turns the
# scores into probabilities: positive, and one in sum.
#
# $$P(c) = \frac{e^{z_c}}{\sum_{c'} e^{z_{c'}}}$$
#
# Let us take it at its word.


# %%
def softmax_as_written(z):
    return np.exp(z) / np.sum(np.exp(z))


print("scores log 1, log 2, log 5:", softmax_as_written(np.log([1.0, 2, 5])))
assert np.allclose(softmax_as_written(np.log([1.0, 2, 5])), [1 / 8, 2 / 8, 5 / 8])

with np.errstate(over="ignore", invalid="ignore"):  # we know what is coming
    broken = softmax_as_written(np.array([1000.0, 1001, 999]))
    print("e to the 1000:", np.exp(1000.0))
    print("scores 1000, 1001, 999:", broken)
assert np.isnan(broken).all()

# %% [markdown]
# $e^{1000}$ is larger than the largest number the computer has. It becomes infinity, and infinity divided by infinity
# is `nan`, "not a number". One `nan` in the loss, and a moment later every weight of the network is `nan`. In float32,
# which networks use, it begins at a score of 89.
#
# The cure costs nothing. Multiply numerator and denominator by $e^{-m}$; the fraction stays the same for any $m$. Take
# for $m$ the largest score. Then the largest exponent is 0, and nothing can overflow.
#
# $$P(c) = \frac{e^{z_c - m}}{\sum_{c'} e^{z_{c'} - m}}, \qquad m = \max_{c'} z_{c'}$$


# %%
def softmax(z):
    e = np.exp(z - np.max(z))
    return e / np.sum(e)


with np.errstate(over="ignore"):
    assert np.isfinite(np.exp(np.float32(88)))
    assert np.isinf(np.exp(np.float32(89)))
assert np.allclose(softmax(np.log([1.0, 2, 5])), softmax_as_written(np.log([1.0, 2, 5])))
assert np.allclose(softmax(np.array([1000.0, 1001, 999])), softmax_as_written(np.array([0.0, 1, -1])))
assert np.allclose(softmax(np.array([1000.0, 1001, 999])), ops.softmax(np.array([1000.0, 1001, 999]))[0])
print("scores 1000, 1001, 999:", softmax(np.array([1000.0, 1001, 999])).round(4))

# %% [markdown]
# ### Cross-entropy
#
# How wrong is a probability? Formula D0-1 compares the truth $p$ with the prediction $q$:
#
# $$H(p, q) = -\sum_i p_i \log q_i$$
#
# If the truth is one class for certain, $p$ is 1 there and 0 elsewhere, and only one term is left: minus the logarithm
# of the probability that the network gave to the truth. If it was sure and right, that is 0. If it was sure and wrong,
# it is as large as you like.

# %%
p = np.array([0.0, 1, 0])
q = np.array([0.2, 0.7, 0.1])
H = -np.sum(p * np.log(q))
assert np.isclose(H, -np.log(0.7))
assert np.isclose(H, ops.categorical_crossentropy(p[None], q[None])[0][0])
print(f"H = -log 0.7 = {H:.4f}")

predicted = np.linspace(0.003, 0.997, 300)
fig, ax = plt.subplots(figsize=(6.2, 3.4))
ax.plot(predicted, -np.log(predicted), color=BLUE, label="there is a nodule: −log q")
ax.plot(predicted, -np.log(1 - predicted), color=ORANGE, linestyle="--", label="there is none: −log(1 − q)")
ax.plot(0.5, np.log(2), "o", color="black")
ax.annotate("no idea: log 2 = 0.69", (0.5, np.log(2)), (0.36, 2.0), arrowprops={"arrowstyle": "-", "color": GREY})
ax.set(xlabel="q, the predicted probability of a nodule", ylabel="loss", ylim=(0, 6))
ax.legend(loc="upper center")
plt.show()

# %% [markdown]
# ### One output for two classes
#
# Our network answers a yes/no question. It has only *one* output, $q$, the probability of "yes"; the probability of
# "no" is $1 - q$. The sum of D0-1 still has two terms, and both are needed. With $y = 1$ for yes and $y = 0$ for no:
#
# $$\ell = -\left( y \log q + (1 - y) \log (1 - q) \right)$$
#
# Whoever writes only the first term gets a loss that a lazy network loves: always say "yes".

# %%
y = np.array([1.0, 0, 0, 1, 0, 0])  # two patches with a nodule, four without
for name, q in [("an honest network", np.array([0.8, 0.2, 0.3, 0.7, 0.1, 0.2])), ("always yes", np.full(6, 0.99))]:
    one_term = -np.mean(y * np.log(q))
    both = -np.mean(y * np.log(q) + (1 - y) * np.log(1 - q))
    assert np.isclose(both, np.mean(ops.binary_crossentropy(y[:, None], q[:, None])[0]))
    print(f"{name:18} one term: {one_term:.3f}   both terms: {both:.3f}")

# %% [markdown]
# The one output comes from one score $z$ through the *sigmoid*
#
# $$\sigma(z) = \frac{1}{1 + e^{-z}}$$
#
# which is nothing new. It is softmax for the two scores $z$ ("yes") and 0 ("no").

# %%
for z in [-3.0, 0.0, 2.5]:
    q = ops.sigmoid(np.array([z]))[0][0]
    assert np.isclose(q, 1 / (1 + np.exp(-z)))
    assert np.isclose(q, softmax(np.array([z, 0.0]))[0])

# %% [markdown]
# ### The two together: prediction minus truth
#
# Now the backward pass of softmax and cross-entropy in one. From here on we use the letters of the programs: $y$ is
# the truth, $p$ the prediction. Four lines:
#
# $$\begin{aligned}
# \ell &= -\sum_c y_c \log p_c = -\sum_c y_c \Big( z_c - \log \sum_k e^{z_k} \Big) \\
# &= -\sum_c y_c z_c + \log \sum_k e^{z_k} \qquad \text{as the } y_c \text{ add up to one} \\
# \frac{\partial}{\partial z_c} \log \sum_k e^{z_k} &= \frac{e^{z_c}}{\sum_k e^{z_k}} = p_c \\
# \frac{\partial \ell}{\partial z_c} &= p_c - y_c
# \end{aligned}$$
#
# Predicted minus true. The more wrong the answer, the stronger the push, and never more than 1. The same comes out for
# the sigmoid with both terms. All of it, measured:

# %%
z = rng.standard_normal((4, 3))  # four samples, three classes
y = np.eye(3)[[0, 2, 1, 1]]  # the truth, one-hot
p, softmax_cache = ops.softmax(z)
_, cache = ops.softmax_crossentropy(y, z)

dloss = rng.standard_normal(4)  # the slope for each sample's loss: random, not all ones
dz = ops.softmax_crossentropy_backward(dloss, cache)
assert np.allclose(dz, dloss[:, None] * (p - y))
assert np.allclose(dz, measured_slope(lambda z: np.sum(dloss * ops.softmax_crossentropy(y, z)[0]), z))

# the same in two steps: the cross-entropy gives dp = -y / p, and softmax takes it from there
assert np.allclose(ops.softmax_backward(dloss[:, None] * -y / p, softmax_cache), dz)

# one output: sigmoid and both terms
y1, z1 = np.array([[1.0], [0.0]]), np.array([[-0.4], [1.3]])
_, cache = ops.sigmoid_crossentropy(y1, z1)
dz1 = ops.sigmoid_crossentropy_backward(dloss[:2], cache)
assert np.allclose(dz1, dloss[:2, None] * (ops.sigmoid(z1)[0] - y1))
assert np.allclose(dz1, measured_slope(lambda z: np.sum(dloss[:2] * ops.sigmoid_crossentropy(y1, z)[0]), z1))
print("prediction minus truth:\n", (p - y).round(3))

# %% [markdown]
# ### A check that cannot fail
#
# Why did we give random numbers as `dloss` and `dy`, when ones are simpler? Here is a backward of softmax that is
# plainly wrong. It always returns zero. A network with it would never learn.


# %%
def lazy_softmax_backward(dy, cache):
    return np.zeros_like(dy)


def passes(backward, dy):
    """Whether backward agrees with the measured slopes, for this dy."""
    measured = measured_slope(lambda z: np.sum(dy * ops.softmax(z)[0]), z)
    return bool(np.allclose(backward(dy, softmax_cache), measured, atol=1e-7))


random = rng.standard_normal(z.shape)
for name, backward in [("tinymed's softmax", ops.softmax_backward), ("the lazy one", lazy_softmax_backward)]:
    print(f"{name:18} dy all ones: {passes(backward, np.ones_like(z))!s:6} dy random: {passes(backward, random)}")

assert passes(lazy_softmax_backward, np.ones_like(z))  # it gets through!
assert not passes(lazy_softmax_backward, random)
assert passes(ops.softmax_backward, random)

# %% [markdown]
# With ones, the loss that is measured is the sum of the probabilities, and that is always 1. Its slope *is* zero. The
# check asks a question to which "zero" is the right answer, so it lets everything through that says zero. Remember
# this when somebody shows you a gradient check: ask what they sent upstream.
#
# ## 4. The update: get a little less wrong
#
# Formula D0-2, with $\theta$ for all the weights and $\alpha$ for the *learning rate*, a small positive number:
#
# $$\theta = \theta - \alpha \, \nabla H(p, q)$$
#
# Read as an equation it would say that $\alpha \nabla H$ is zero. It is an *assignment*, as in a program: the new
# $\theta$ is the old one minus a step. The gradient $\nabla$ is taken with respect to $\theta$, and minus means
# downhill. A careful author writes $\theta \leftarrow \theta - \alpha \nabla_\theta H$.
#
# Everything now depends on the length of the step. Take a loss with one weight, $L = (\theta - 3)^2$, with the slope
# $2(\theta - 3)$. Each step multiplies the distance from 3 by $1 - 2\alpha$:
#
# $$\theta_t - 3 = (1 - 2\alpha)^t \, (\theta_0 - 3)$$

# %%
fig, ax = plt.subplots(figsize=(7.4, 3.4))
for rate, colour, marker in [(0.05, BLUE, "o"), (0.4, GREEN, "s"), (0.9, ORANGE, "^"), (1.05, RED, "x")]:
    theta, path = 0.0, [0.0]
    for _ in range(15):
        theta = theta - rate * 2 * (theta - 3)  # D0-2
        path.append(theta)
    assert np.allclose(path, 3 + (1 - 2 * rate) ** np.arange(16) * (0 - 3))
    ax.plot(path, color=colour, marker=marker, markersize=5, linewidth=1.5, label=f"α = {rate}")
ax.axhline(3, color=GREY, linestyle=":", linewidth=1.5)
ax.set(xlabel="step", ylabel="θ", ylim=(-5, 11), title="Too short, right, too long, much too long")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# the same as an optimizer, which changes the arrays that it is given
weights = {"theta": np.array([0.0])}
optimizers.SGD(learning_rate=0.4).update(weights, {"theta": 2 * (weights["theta"] - 3)})
assert np.isclose(weights["theta"][0], 0 - 0.4 * 2 * (0 - 3))

# %% [markdown]
# ## 5. A network by hand
#
# Two more steps are needed, and both are short. *ReLU* keeps what is positive: $h = \max(0, a)$. Without it, layer
# upon layer would be no more than one layer. *Dense* makes scores from a row of features, $z = vW + b$ (the articles
# write $Wx + b$, with columns instead of rows). Their backward passes are one line each. You know by now how to read
# the checks.

# %%
a, v = rng.standard_normal((3, 5)), rng.standard_normal((3, 4))
W, b = rng.standard_normal((4, 2)), rng.standard_normal(2)
dh, dz = rng.standard_normal((3, 5)), rng.standard_normal((3, 2))

h, cache = ops.relu(a)
assert np.array_equal(h, np.maximum(0, a))
assert np.allclose(ops.relu_backward(dh, cache), dh * (a > 0))  # open gates let the gradient through
assert np.allclose(ops.relu_backward(dh, cache), measured_slope(lambda a: np.sum(dh * ops.relu(a)[0]), a))

z, cache = ops.dense(v, W, b)
dv, dW, db = ops.dense_backward(dz, cache)
assert np.allclose(z, v @ W + b)
assert np.allclose(dv, dz @ W.T)
assert np.allclose(dW, v.T @ dz)
assert np.allclose(db, dz.sum(axis=0))
assert np.allclose(dW, measured_slope(lambda W: np.sum(dz * ops.dense(v, W, b)[0]), W))
print("ReLU and dense agree with their measured slopes")

# %% [markdown]
# ### The data
#
# Three sets, from three seeds. The network learns from the first. We look at the second while it learns. The third
# stays in the drawer until the end, because whatever you look at often, you begin to fit.
#
# The pixels are shifted and scaled to mean 0 and standard deviation 1, with the mean and deviation *of the training
# set*. The other sets must not have a say in anything.

# %%
raw = {
    name: datasets.phantoms.nodules(n, seed) for name, n, seed in [("train", 960, 1), ("val", 192, 2), ("test", 320, 3)]
}
mean, deviation = raw["train"][0].mean(), raw["train"][0].std()


def prepare(images):
    return ((images - mean) / deviation).astype("float32")


x_train, x_val, x_test = (prepare(raw[name][0]) for name in ("train", "val", "test"))
y_train, y_val, y_test = (raw[name][1].astype("float32").reshape(-1, 1) for name in ("train", "val", "test"))
print("training:", x_train.shape, y_train.shape, f"with a nodule: {y_train.mean():.0%}")

# %% [markdown]
# ### The weights
#
# Random numbers to begin with: if all weights began equal, all filters would remain equal. They are scaled by
# $\sqrt{2 / \text{inputs}}$, so that the numbers neither fade nor explode from layer to layer. The last layer begins
# small: the first answer to everything is then "no idea", and the first loss close to $\log 2$.

# %%
rng = np.random.default_rng(0)


def random_kernel(*shape):
    inputs = np.prod(shape[:-1])
    return (rng.standard_normal(shape) * np.sqrt(2 / inputs)).astype("float32")


start = {
    "kernel1": random_kernel(5, 5, 3, 8),  # 8 filters of 5x5 pixels on 3 slices
    "bias1": np.zeros(8, "float32"),
    "kernel2": random_kernel(5, 5, 8, 16),  # 16 filters on the 8 channels of the first stage
    "bias2": np.zeros(16, "float32"),
    "kernel3": 0.1 * random_kernel(64, 1),
    "bias3": np.zeros(1, "float32"),
}
print("weights in all:", sum(w.size for w in start.values()))

# %% [markdown]
# ### Forward, and backward
#
# Two stages of convolution, ReLU and pooling, then one score. Follow the shapes in the comments: the image shrinks,
# the channels grow. Then read `backward` from top to bottom: it is `forward` from bottom to top. Every line takes the
# slopes that the line above it made. **This is the chain rule, and there is nothing more to it.**


# %%
def forward(x, w):
    a1, conv1 = ops.conv2d(x, w["kernel1"], w["bias1"])  # (N, 64, 64, 3) -> (N, 60, 60, 8)
    h1, relu1 = ops.relu(a1)
    m1, pool1 = ops.max_pool2d(h1, 4)  #                    (N, 15, 15, 8)
    a2, conv2 = ops.conv2d(m1, w["kernel2"], w["bias2"])  # (N, 11, 11, 16)
    h2, relu2 = ops.relu(a2)
    m2, pool2 = ops.max_pool2d(h2, 4)  #                    (N, 2, 2, 16)
    v, flat = ops.flatten(m2)  #                            (N, 64)
    z, dense = ops.dense(v, w["kernel3"], w["bias3"])  #    (N, 1)
    return z, (conv1, relu1, pool1, conv2, relu2, pool2, flat, dense)


def backward(dz, caches):
    conv1, relu1, pool1, conv2, relu2, pool2, flat, dense = caches
    dv, dkernel3, dbias3 = ops.dense_backward(dz, dense)
    dm2 = ops.flatten_backward(dv, flat)
    dh2 = ops.max_pool2d_backward(dm2, pool2)
    da2 = ops.relu_backward(dh2, relu2)
    dm1, dkernel2, dbias2 = ops.conv2d_backward(da2, conv2)
    dh1 = ops.max_pool2d_backward(dm1, pool1)
    da1 = ops.relu_backward(dh1, relu1)
    _, dkernel1, dbias1 = ops.conv2d_backward(da1, conv1)  # nobody needs the slopes of the pixels
    return {
        "kernel1": dkernel1, "bias1": dbias1,
        "kernel2": dkernel2, "bias2": dbias2,
        "kernel3": dkernel3, "bias3": dbias3,
    }  # fmt: skip


def loss_and_slopes(x, y, w):
    z, caches = forward(x, w)
    losses_of_samples, cache = ops.sigmoid_crossentropy(y, z)
    share = np.full(len(x), 1 / len(x), dtype=x.dtype)  # the loss is their mean
    dz = ops.sigmoid_crossentropy_backward(share, cache)
    return losses_of_samples.mean(), backward(dz, caches)


first_loss, _ = loss_and_slopes(x_train[:64], y_train[:64], start)
print(f"first loss: {first_loss:.3f}, log 2 = {np.log(2):.3f}")
assert abs(first_loss - np.log(2)) < 0.1

# %% [markdown]
# Before any training: is the whole chain right? Measuring four thousand slopes one by one would take long. So we wiggle
# all the weights at once, in one random direction $r$. The loss must then change by the sum of all slopes times $r$:
#
# $$\frac{L(\theta + h r) - L(\theta - h r)}{2h} \approx \sum_i \frac{\partial L}{\partial \theta_i} \, r_i$$
#
# This is done in float64, with 16 digits. In float32, with 7, the difference would drown in rounding.

# %%
theta = {name: w.astype("float64") for name, w in start.items()}
direction = {name: rng.standard_normal(w.shape) for name, w in theta.items()}
few, their_y = x_train[:4].astype("float64"), y_train[:4].astype("float64")


def loss_at(h):
    return loss_and_slopes(few, their_y, {name: w + h * direction[name] for name, w in theta.items()})[0]


_, slopes = loss_and_slopes(few, their_y, theta)
expected = sum(np.sum(slopes[name] * direction[name]) for name in theta)
measured = (loss_at(1e-7) - loss_at(-1e-7)) / 2e-7
print(f"by the chain rule {expected:.7f}, measured {measured:.7f}")
assert np.isclose(expected, measured, rtol=1e-5)

# %% [markdown]
# ### Training
#
# A step is: draw 32 patches, find the slopes, apply D0-2 to every weight. A hundred steps.

# %%
weights = {name: w.copy() for name, w in start.items()}
rate = 0.1
curve, seen = [], []
for step in range(100):
    batch = rng.integers(0, len(x_train), 32)
    loss, slopes = loss_and_slopes(x_train[batch], y_train[batch], weights)
    for name in weights:
        weights[name] = weights[name] - rate * slopes[name]  # D0-2
    curve.append(loss)
    if step % 10 == 9:
        z, _ = forward(x_val, weights)
        seen.append((step + 1, np.mean((z > 0) == (y_val == 1))))  # a score above 0 is a probability above 1/2

# %%
smooth = np.convolve(curve, np.ones(10) / 10, mode="valid")
fig, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
left.plot(range(1, 101), curve, color=BLUE, alpha=0.3, linewidth=1, label="each batch")
left.plot(range(10, 101), smooth, color=BLUE, label="mean of the last ten")
left.axhline(np.log(2), color=GREY, linestyle=":", label="no idea: log 2")
left.set(xlabel="step", ylabel="loss", ylim=(0, 1.5), title="Loss on the training patches")
left.legend(loc="upper right")
right.plot(*zip(*seen, strict=True), color=ORANGE, marker="o")
right.axhline(0.5, color=GREY, linestyle=":", label="a coin")
right.set(xlabel="step", ylabel="part that is right", ylim=(0.4, 1), title="On patches it has not learned from")
right.legend(loc="lower right")
plt.show()
print(f"after 100 steps {seen[-1][1]:.0%} of the validation patches are right")
assert smooth[-1] < 0.75 * np.log(2)
assert seen[-1][1] > 0.7

# %% [markdown]
# It learns. Every number that moved was moved by a line on this page.
#
# The loss of single batches jumps about: some batches of 32 are harder than others. The mean of ten shows where things
# are going.
#
# ## 6. The same with `fit`
#
# Nobody wants to write `backward` for each new network. A `Sequential` model keeps the list of layers and does what
# our two functions did. The names are those of Keras.

# %%
model = Sequential(
    [
        Input((64, 64, 3)),
        layers.Conv2D(8, 5, activation="relu"),
        layers.MaxPooling2D(4),
        layers.Conv2D(16, 5, activation="relu"),
        layers.MaxPooling2D(4),
        layers.Flatten(),
        layers.Dense(1, activation="sigmoid"),
    ]
)
model.summary()

# %% [markdown]
# Is it the same network? Give it the weights that we began with, let it take one step on one batch, and compare with
# one step by hand. The chain rule can still be seen in it, in four lines, if you ask for it.

# %%
batch_x, batch_y = x_train[:32], y_train[:32]
loss, slopes = loss_and_slopes(batch_x, batch_y, start)
by_hand = {name: start[name] - rate * slopes[name] for name in start}

model.set_weights(list(start.values()))
model.compile(optimizer=optimizers.SGD(learning_rate=rate), loss="binary_crossentropy")
model.train_on_batch(batch_x, batch_y)
for name, new in zip(by_hand, model.get_weights(), strict=True):
    assert np.allclose(new, by_hand[name], atol=1e-6), name

model.set_weights(list(start.values()))
bce = losses.BinaryCrossentropy()
p, tape = model.forward(batch_x, training=True)
model_loss, cache = bce.forward(batch_y, p)
_, grads = model.backward(bce.backward(cache), tape)
for g, name in zip(grads.values(), slopes, strict=True):
    assert np.allclose(g, slopes[name], atol=1e-5), name
print(f"loss by hand {loss:.6f}, by the model {model_loss:.6f}; the new weights agree")

# %% [markdown]
# Now for a longer training. `compile` chooses the loss and the update, `fit` runs the loop: an *epoch* is one round
# through all training patches. *Adam* is a refinement of D0-2 in which each weight gets a step length of its own.

# %%
set_seed(0)
model.compile(optimizer=optimizers.Adam(learning_rate=0.004), loss="binary_crossentropy", metrics=["accuracy"])
history = model.fit(x_train, y_train, epochs=6, batch_size=32, validation_data=(x_val, y_val), verbose=2)

# %%
plots.learning_curves(history)

# %% [markdown]
# Watch the distance between the dashed and the solid curve. On the training patches the loss keeps falling. On others
# it falls more slowly, and at some point no longer. From there on the network learns the patches by heart.
#
# ### The drawer is opened
#
# 320 patches that it has never seen, nor have we. A first number is the part that is right. A second is the *AUC*: take
# one patch with a nodule and one without, at random; how often does the first get the higher score? Unlike the first
# number, it does not depend on where we draw the line between yes and no. The ROC curve shows all lines at once.

# %%
scores = model.predict(x_test, verbose=0)[:, 0]
truth = y_test[:, 0]
right = (scores > 0.5) == (truth == 1)

pairs = scores[truth == 1][:, None] - scores[truth == 0][None, :]
auc = np.mean((pairs > 0) + 0.5 * (pairs == 0))  # ties count one half
assert np.isclose(auc, metrics.roc_auc(truth, scores))

error = np.sqrt(right.mean() * (1 - right.mean()) / len(right))
print(f"right: {right.mean():.1%}, give or take {error:.1%}; AUC {auc:.3f}")
assert auc > 0.85
plots.roc(truth, scores, title="Unseen patches")

# %% [markdown]
# Never stop at numbers. Look at what it got right, and above all at what it got wrong and was sure of.

# %%
plots.prediction_sheet(raw["test"][0], truth, scores, ("no nodule", "nodule"), rows=1, columns=7, rgb=False)

# %% [markdown]
# ### What could fool it
#
# The test patches come from the same program as the training patches. Patients do not. So change the patches in ways
# that do *not* change whether there is a nodule, and see what the network makes of it. Before you look: which of these
# would trouble a radiologist? In the last but one, the middle slice is shown three times, so that nobody can see where
# a thing ends. In the last, we put a thick vessel into every patch. It runs straight through: in all three slices there
# is the same bright disk.

# %%
patches = raw["test"][0]
generator = np.random.default_rng(4)


def with_vessel(patches, radius=4):
    rows, columns = np.mgrid[:64, :64]
    centres = generator.uniform(10, 54, (len(patches), 2, 1, 1))
    distance = np.hypot(rows - centres[:, 0], columns - centres[:, 1])
    share = np.clip(radius + 0.5 - distance, 0, 1)[..., None]  # of each pixel, how much is vessel
    return patches + share * (0.74 - patches)


changes = {
    "as they are": patches,
    "a quarter turn": np.rot90(patches, axes=(1, 2)),
    "much more noise": patches + 0.15 * generator.standard_normal(patches.shape),
    "black for white": 1 - patches,
    "one slice, three times": np.repeat(patches[..., 1:2], 3, axis=-1),
    "a vessel straight through": with_vessel(patches),
}
found = {}
for name, changed in changes.items():
    s = model.predict(prepare(changed), verbose=0)[:, 0]
    found[name] = metrics.roc_auc(truth, s), np.mean((s > 0.5) == (truth == 1))

fig, axes = plt.subplots(1, 6, figsize=(10, 2.1))
for ax, (name, changed) in zip(axes, changes.items(), strict=True):
    ax.imshow(changed[1, :, :, 1], cmap="gray", vmin=0, vmax=1)
    ax.set_title(name.replace(", ", ",\n").replace(" straight", "\nstraight"), fontsize=10, loc="center")
    ax.set_axis_off()
plt.show()

fig, ax = plt.subplots(figsize=(7.6, 3.4))
rows = np.arange(len(found))
aucs, parts_right = np.array(list(found.values())).T
ax.hlines(rows, parts_right, aucs, color="#CCCCCC", linewidth=3, zorder=1)
ax.plot(aucs, rows, "o", color=BLUE, markersize=9, label="AUC")
ax.plot(parts_right, rows, "s", color=ORANGE, markersize=8, label="part that is right, with the line at 1/2")
ax.axvline(0.5, color=GREY, linestyle=":")
ax.set_yticks(rows, list(found))
ax.set(xlim=(0.4, 1.02), ylim=(len(found) - 0.5, -0.5), xlabel="1 is perfect, 1/2 is a coin")
ax.legend(loc="upper center", bbox_to_anchor=(0.4, 1.18), ncols=2)
plt.show()

plain = found["as they are"]
assert plain[0] - found["a quarter turn"][0] < 0.05
assert plain[0] - found["much more noise"][0] < 0.08 < plain[1] - found["much more noise"][1]
assert plain[0] - found["one slice, three times"][0] < 0.08
assert plain[0] - found["a vessel straight through"][0] > 0.05
assert found["black for white"][0] < 0.75

# %% [markdown]
# Read it from top to bottom:
#
# * **A turn** does nothing. The phantoms lie in all directions, so the network has seen them in all directions.
# * **Noise**: the AUC hardly falls, the part that is right falls a lot. The network still puts the patches in nearly
#   the same order, but all scores have sunk, and the line at 1/2 is now in the wrong place. A scan with less radiation,
#   or another scanner, can do that.
# * **Black for white**, as on an X-ray film, would not trouble you for a second. The network is not far from a coin. It
#   knows what it was shown, and nothing else.
# * **One slice** is nearly as good as three, and **a vessel straight through** is often taken for a nodule. We said at
#   the beginning that a nodule *ends*. This network has mostly learned something cheaper: a big, bright, round spot.
#   Without this picture, with an AUC in hand, we might have believed otherwise.
#
# And nothing here says anything about real patients. A number from phantoms is a number about phantoms.
#
# ## 7. Exercises
#
# Complete the function, run the cell, and read what `check` says. A function that still returns `None` counts as not
# answered.
#
# **Exercise 1: "same".** Write the convolution whose output is as large as the image: put zeros around the image first,
# one row and column on each side for a 3×3 kernel. (This is the form in which the third article has it, D3-1.)


# %% tags=["exercise"]
def convolve_same(x, k):
    return None  # your code; convolve(x, k) and np.pad may help


x = np.arange(20.0).reshape(4, 5)
k = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])
check(
    "exercise 1",
    convolve_same(x, k),
    ops.conv2d(x[None, :, :, None], k[:, :, None, None], padding="same")[0][0, :, :, 0],
)

# %% [markdown]
# **Exercise 2: strides.** With *stride* $s$ the window moves $s$ pixels at a time. How many rows has the output, for an
# image of $H$ rows and a kernel of $P$, "valid"? Find a formula without a loop.


# %% tags=["exercise"]
def rows_of_output(H, P, s):
    return None  # your code


sizes = [(7, 3, 1), (7, 3, 2), (8, 3, 2), (9, 2, 3), (64, 5, 4)]
rows = [ops.conv2d(np.zeros((1, H, 64, 1)), np.zeros((P, 1, 1, 1)), strides=s)[0].shape[1] for H, P, s in sizes]
answers = [rows_of_output(*size) for size in sizes]
check("exercise 2", None if None in answers else answers, rows)

# %% [markdown]
# **Exercise 3: the backward of max pooling, in loops.** `x` is (H, W), the windows are 2×2, side by side.


# %% tags=["exercise"]
def max_pool_backward(dz, x):
    return None  # your code; np.argmax and np.unravel_index may help


x = np.random.default_rng(2).standard_normal((6, 4))
dz = np.arange(1.0, 7).reshape(3, 2)
_, cache = ops.max_pool2d(x.reshape(1, 6, 4, 1), 2)
check("exercise 3", max_pool_backward(dz, x), ops.max_pool2d_backward(dz.reshape(1, 3, 2, 1), cache)[0, :, :, 0])

# %% [markdown]
# **Exercise 4: the logarithm of softmax.** `np.log(softmax(z))` is minus infinity where the probability is too small
# for the computer. Write it so that scores of ±1000 do no harm. (A look at the four lines of section 3 helps.)


# %% tags=["exercise"]
def log_softmax(z):
    return None  # your code


z = np.array([0.0, -1000.0, 1000.0, 999.0])
check("exercise 4", log_softmax(z), ops.log_softmax(z)[0])

# %% [markdown]
# **Exercise 5: momentum.** A ball that rolls downhill keeps part of its speed: $v \leftarrow \mu v - \alpha g$, then
# $\theta \leftarrow \theta + v$, with $v = 0$ to begin with. Take three steps on $L = (\theta - 3)^2$ from
# $\theta = 0$ and return the three values of $\theta$.


# %% tags=["exercise"]
def three_steps(rate, momentum):
    return None  # your code


sgd, place, path = optimizers.SGD(0.1, momentum=0.9), {"theta": np.zeros(1)}, []
for _ in range(3):
    sgd.update(place, {"theta": 2 * (place["theta"] - 3)})
    path.append(float(place["theta"][0]))
check("exercise 5", three_steps(0.1, 0.9), path)

# %% [markdown]
# **Without a check, for an evening:**
#
# * In `forward`, replace the second pooling and `flatten` by `ops.global_max_pool` (and `kernel3` by one of the right
#   shape). A nodule may lie anywhere. Why should this help?
# * Add mirrored and noisy copies to the training patches. Which points of the last picture move?
# * Train with three other seeds. How much of the difference between two settings is luck?
#
# ## Where to read on
#
# Open a file and compare it with this page. Each operation has its formulas above it, and its backward directly below.
#
# * [`ops/convolution.py`](../tinymed/ops/convolution.py) and [`ops/windows.py`](../tinymed/ops/windows.py): section 1
# * [`ops/pooling.py`](../tinymed/ops/pooling.py): section 2
# * [`ops/softmax.py`](../tinymed/ops/softmax.py) and
#   [`ops/cross_entropy.py`](../tinymed/ops/cross_entropy.py): section 3
# * [`ops/updates.py`](../tinymed/ops/updates.py): section 4, and Adam
# * [`models/graph.py`](../tinymed/models/graph.py): the chain rule for any network
# * [`gradcheck/`](../tinymed/gradcheck/): the measured slopes, made into a test of everything
