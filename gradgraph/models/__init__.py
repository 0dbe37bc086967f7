"""Networks that are ready to train; their weights are as many as the published ones have."""

from ..nn.lenet import LeNet
from .lenet5 import LeNet5
from .resnet import BasicBlock, ResNet18
from .signal import SignalCNN
from .unet import UNet
from .vgg import VGG

__all__ = ["VGG", "BasicBlock", "LeNet", "LeNet5", "ResNet18", "SignalCNN", "UNet"]
