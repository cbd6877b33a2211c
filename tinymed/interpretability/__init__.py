"""What did the network look at? Maps over the image, from the same hand-written backward that trains it (floor 5).

====================== ============================================================================================
saliency               how strongly each pixel moves the score: :math:`|ds/dx|`
smooth_grad            the same, averaged over noisy copies of the image
integrated_gradients   how much each pixel adds to the score on the way from an empty image
grad_cam               which places in a layer speak for the class
occlusion              how much the score falls where a window is covered
====================== ============================================================================================

A map is no proof. :func:`cascading_randomisation` shows whether it depends on what the network has learnt at all, and
:func:`pointing_game` how often it points at what is really there.
"""

from tinymed.interpretability.gradcam import grad_cam, last_spatial_layer
from tinymed.interpretability.integrated import integrated_gradients
from tinymed.interpretability.occlusion import occlusion
from tinymed.interpretability.saliency import saliency, smooth_grad
from tinymed.interpretability.sanity import cascading_randomisation, pointing_game

__all__ = [
    "cascading_randomisation",
    "grad_cam",
    "integrated_gradients",
    "last_spatial_layer",
    "occlusion",
    "pointing_game",
    "saliency",
    "smooth_grad",
]
